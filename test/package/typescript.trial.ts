import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { install, packedHost } from '../support/packed-host.ts'

t.setTimeout(900_000)

const run = promisify(execFile)
/** From the first supported version to the newest, and whether `require` of ES modules has types in it. */
const VERSIONS: [string, boolean][] = [
  ...['5.4', '5.5', '5.6', '5.7'].map((version): [string, boolean] => [version, false]),
  ...['5.8', '5.9', '6.0', 'latest'].map((version): [string, boolean] => [version, true])
]
/** Arguments of `env` that remove the loaders of the test runner, with which the newest compiler does not load. */
const WITHOUT_LOADERS = ['-u', 'NODE_OPTIONS']

const { host } = await packedHost(t)

for (const [version, mayRequire] of VERSIONS) {
  t.test(`hosts compile with TypeScript ${version}, and mistakes do not`, async (t) => {
    await install(host, `typescript@${version}`)
    const compiler = join(host, 'node_modules', '.bin', 'tsc')
    const compile = (...args: string[]) => run('env', [...WITHOUT_LOADERS, compiler, ...args], { cwd: host })
    t.comment((await compile('--version')).stdout.trim())
    for (const config of [mayRequire ? 'tsconfig.require.json' : 'tsconfig.json', 'tsconfig.bundler.json'])
      await t.resolves(compile('-p', config), config)
  })
}
