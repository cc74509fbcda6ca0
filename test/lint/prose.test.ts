import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const SCRIPT = join(import.meta.dirname, 'prose.mjs')

/** Runs the check on files with these sources; returns its exit code and its errors. */
function check(folder: string, sources: Readonly<Record<string, string>>) {
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(folder, name), source)
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, folder], { encoding: 'utf8' })
  return { status, stderr }
}

t.test('an excluded phrase is reported with its line, in comments, messages and documentation', async (t) => {
  const { status, stderr } = check(t.testdir(), {
    'comment.ts': 'export const a = 1\n/** A client that is ' + 'told of a gap. */\nexport const b = 2\n',
    'message.ts': "export const message = 'the events that are ' + 'owed to a stream'\n",
    'text.md': '# Title\n\nFirst. What' + ' the hub stores is bounded.\n',
    'script.lua': 'local a = 1\n-- his' + ' events\n'
  })
  t.equal(status, 1)
  const places = [/comment\.ts:2: "is told"/, /message\.ts:1: "owed"/, /text\.md:3: "\. What"/, /script\.lua:2: "his"/]
  for (const place of places) t.match(stderr, place)
})

t.test('code, questions and plain prose pass', async (t) => {
  const { status } = check(t.testdir(), {
    'plain.ts': '// Live streams are served before replaying ones.\nexport const told = new Set<string>()\n',
    'plain.md': 'What is a gap? History that is gone.\n\n```sh\nwhoever\n```\n'
  })
  t.equal(status, 0)
})
