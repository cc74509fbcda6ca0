import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { NODE_COMMAND } from '../support/node-command.ts'
import { preloadedLibrary } from '../support/preloaded-library.ts'
import { skipTest } from '../support/programs.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const SUPPORT = join(ROOT, 'test', 'support')

t.test('a disk that fails rejects appends with a code, and accepts them after it recovers', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'failing-disk-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const library = preloadedLibrary(folder, 'failing-disk')
  if (library === undefined) {
    const why = 'NOT TESTED: a disk that fails, for which a C compiler on Linux is needed'
    return skipTest(t, why)
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
