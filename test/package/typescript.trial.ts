import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { install, packedHost } from '../support/packed-host.ts'

t.setTimeout(900_000)

const run = promisify(execFile)
/** The first that the package supports, those that came after it, and the newest; and whether `require` of ES modules has types. */
const VERSIONS: [string, boolean][] = [
  ...['5.4', '5.5', '5.6', '5.7'].map((version): [string, boolean] => [version, false]),
  ...['5.8', '5.9', '6.0', 'latest'].map((version): [string, boolean] => [version, true])
]
// The loaders of the test runner are not for other programs.
const { NODE_OPTIONS: _, ...env } = process.env

const { host } = await packedHost(t)

for (const [version, mayRequire] of VERSIONS) {
  t.test(`hosts compile with TypeScript ${version}, and mistakes do not`, async (t) => {
    await install(host, `typescript@${version}`)
    const compile = (...args: string[]) => run(join(host, 'node_modules', '.bin', 'tsc'), args, { cwd: host, env })
    t.comment((await compile('--version')).stdout.trim())
    for (const config of [mayRequire ? 'tsconfig.require.json' : 'tsconfig.json', 'tsconfig.bundler.json'])
      await t.resolves(compile('-p', config), config)
  })
}
