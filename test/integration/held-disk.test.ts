import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { preloadedLibrary } from '../support/preloaded-library.ts'
import { skipTest } from '../support/programs.ts'

const SUPPORT = join(import.meta.dirname, '..', 'support')
const run = promisify(execFile)

t.test('while the disk is slow, the event loop turns, and no reader sees an event that is not on it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'held-disk-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const library = preloadedLibrary(folder, 'held-disk')
  if (library === undefined) {
    const why = 'a C compiler for Linux is not installed: apt-get install gcc libc6-dev'
    return skipTest(t, why)
  }
  execFileSync('mkfifo', [join(folder, 'waits'), join(folder, 'goes')], { stdio: 'ignore' })
  const embedded = pathToFileURL(join(await compiledHub(), 'embedded.js')).href
  // It ends by itself only if its event loop answers the disk; otherwise it is killed.
  const { stdout } = await run(
    process.execPath,
    [join(SUPPORT, 'held-disk-child.mjs'), embedded, join(folder, 'log')],
    { env: { PATH: process.env.PATH, LD_PRELOAD: library, HELD_DISK: folder }, timeout: 60_000, killSignal: 'SIGKILL' }
  )
  const { turns, pending, done } = JSON.parse(stdout)
  t.equal(turns, 100)
  t.same(pending, { acknowledged: ['before'], dispatched: ['before'], read: ['before'] })
  const all = ['before', 'a', 'b', 'c']
  t.same(done, { acknowledged: all, dispatched: all, read: all })
})
