import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { linkedHost } from '../support/linked-host.ts'
import { bin } from '../support/packed-host.ts'

t.setTimeout(180_000)

const host = await linkedHost(t, join(import.meta.dirname, 'fixture'))

for (const config of ['tsconfig.require.json', 'tsconfig.bundler.json']) {
  t.test(`hosts compile against the types of the package, and mistakes do not (${config})`, async (t) => {
    await t.resolves(promisify(execFile)(bin('tsc'), ['-p', config], { cwd: host }))
  })
}
