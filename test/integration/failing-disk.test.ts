import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { NODE_COMMAND } from '../support/node-command.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const SUPPORT = join(ROOT, 'test', 'support')

/** The compiled library that makes the disk fail; undefined where it cannot be compiled. */
function compiled(folder: string): string | undefined {
  const library = join(folder, 'failing-disk.so')
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(SUPPORT, 'failing-disk.c'), '-ldl'], {
      stdio: 'ignore'
    })
  } catch {
    return undefined
  }
  return process.platform === 'linux' ? library : undefined
}

t.test('a disk that fails rejects appends with a code, and accepts them after it recovers', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'failing-disk-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const library = compiled(folder)
  if (library === undefined) {
    const why = 'NOT TESTED: a disk that fails, for which a C compiler on Linux is needed'
    if (process.env.CI === 'true') return t.fail(why)
    t.comment(why)
    return t.pass(why, { skip: why })
  }
  const [node = '', ...args] = NODE_COMMAND
  // Only flushing fails. Where a write itself fails, LMDB 3.5.6 writes past the end of its own message (mdb.c,
  // last_error) and may end the process. The log checks the free space before it writes, so that a full disk does not
  // cause that.
  const path = join(folder, 'log')
  const child = [...args, join(SUPPORT, 'failing-disk-child.ts'), path, 'sync']
  const env = { ...process.env, LD_PRELOAD: library, FAILING_DISK: folder }
  const { stdout } = await promisify(execFile)(node, child, { cwd: ROOT, env, timeout: 60_000 })
  const refused = ['b', 'c', 'd'].map((data) => `${data} SSE_HUB_ERR_LOG_UNAVAILABLE`)
  t.same(JSON.parse(stdout.trim().split('\n').at(-1) as string), {
    answers: ['a taken', ...refused, 'e taken'],
    ready: [false, true],
    during: ['a'],
    after: ['a', 'e']
  })
})
