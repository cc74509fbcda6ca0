import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '..', '..')

t.test('each threat in docs/security.md names a test file that exists', async (t) => {
  const [, table = ''] = readFileSync(join(ROOT, 'docs', 'security.md'), 'utf8').split('## Threats')
  const files = table
    .split('\n## ', 1)[0]
    ?.split('\n')
    .map((line) => /\| (\S+\.test\.ts) +\|$/.exec(line)?.[1])
    .filter((file) => file !== undefined)
  t.ok(files !== undefined && files.length >= 17, `${files?.length}`)
  for (const file of files ?? []) t.ok(existsSync(join(ROOT, 'test', file)), file)
})
