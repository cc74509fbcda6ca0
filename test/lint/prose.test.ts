import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const SCRIPT = join(import.meta.dirname, 'prose.mjs')

/** Runs the check on a file with this source; returns its exit code and its errors. */
function check(folder: string, name: string, source: string) {
  const path = join(folder, name)
  writeFileSync(path, source)
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, path], { encoding: 'utf8' })
  return { status, stderr }
}

t.test('an excluded phrase is reported with its line, in comments, messages and documentation', async (t) => {
  const folder = t.testdir()
  const cases: [name: string, source: string, place: RegExp][] = [
    [
      'comment.ts',
      'export const a = 1\n/** A client that is ' + 'told of a gap. */\nexport const b = 2\n',
      /comment\.ts:2: "is told"/
    ],
    ['message.ts', "export const message = 'the events that are ' + 'owed to a stream'\n", /message\.ts:1: "owed"/],
    ['text.md', '# Title\n\nFirst. What' + ' the hub stores is bounded.\n', /text\.md:3: "\. What"/],
    ['script.lua', 'local a = 1\n-- his' + ' events\n', /script\.lua:2: "his"/]
  ]
  for (const [name, source, place] of cases) {
    const { status, stderr } = check(folder, name, source)
    t.equal(status, 1, name)
    t.match(stderr, place)
  }
})

t.test('code, questions and plain prose pass', async (t) => {
  const folder = t.testdir()
  t.equal(
    check(
      folder,
      'plain.ts',
      '// Live streams are served before replaying ones.\nexport const told = new Set<string>()\n'
    ).status,
    0
  )
  t.equal(check(folder, 'plain.md', 'What is a gap? History that is gone.\n\n```sh\nwhoever\n```\n').status, 0)
})
