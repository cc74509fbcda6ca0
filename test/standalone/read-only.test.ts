import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { skipTest } from '../support/programs.ts'
import { publish, ServerProcess } from '../support/server-process.ts'

// The hub in a checkout or a container with a read-only file system.

const ROOT = join(import.meta.dirname, '..', '..')
const isRoot = process.getuid?.() === 0

t.setTimeout(120_000)

function home(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'read-only-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Makes the folder read-only, for root by a mount, as a mode does not stop root. Returns false where neither works. */
function makeReadOnly(t: Test, folder: string): boolean {
  if (!isRoot) {
    chmodSync(folder, 0o555)
    t.teardown(() => chmodSync(folder, 0o755))
    return true
  }
  try {
    execFileSync('mount', ['--bind', folder, folder], { stdio: 'ignore' })
    t.teardown(() => execFileSync('umount', [folder]))
    execFileSync('mount', ['-o', 'remount,ro,bind', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function skipped(t: Test): void {
  skipTest(t, 'NOT TESTED: a read-only folder, for which root must be allowed to mount one')
}

function startIn(t: Test, folder: string, env: Record<string, string>, command: string): ServerProcess {
  return new ServerProcess(t, env, ['sh', '-c', `cd "${folder}" && exec ${command}`])
}

t.test('if the default folder cannot be made, history is in memory, and a warning says so', async (t) => {
  const folder = home(t)
  if (!makeReadOnly(t, folder)) return skipped(t)
  const server = join(await compiledHub(), 'server.js')
  const hub = startIn(t, folder, { HUB_STORE: '', LOG_LEVEL: 'silent' }, `node "${server}"`)
  const url = await hub.url()
  await publish(url, '/users/alice/events', 'a')
  t.match(
    hub.stderr,
    /WARNING: history is in memory only.*(EROFS|EACCES).* set HUB_STORE to a folder that can be written/
  )
  t.equal(await hub.stop('SIGTERM'), 0)
})

t.test('a configured folder, or one with history, is never replaced by memory', async (t) => {
  const folder = home(t)
  mkdirSync(join(folder, 'fastify-sse-hub-data'))
  if (!makeReadOnly(t, folder)) return skipped(t)
  if (!isRoot) chmodSync(join(folder, 'fastify-sse-hub-data'), 0o555)
  const server = join(await compiledHub(), 'server.js')
  for (const HUB_STORE of ['', './chosen']) {
    const hub = startIn(t, folder, { HUB_STORE }, `node "${server}"`)
    t.equal(await hub.ended(), 1)
    t.match(
      hub.stderr,
      /^fastify-sse-hub: HUB_STORE cannot be opened: .*(EROFS|EACCES).* or to "memory".* \(SSE_HUB_ERR_LOG_STORE\)\n$/
    )
  }
})

/** A folder with the files of a checkout that `npm start` needs. */
function checkout(t: Test, dist?: string): string {
  const folder = home(t)
  for (const file of ['package.json', 'scripts/prestart.mjs']) cpSync(join(ROOT, file), join(folder, file))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  if (dist !== undefined) symlinkSync(dist, join(folder, 'dist'))
  return folder
}

t.test('npm start in a read-only checkout starts the existing build', async (t) => {
  const folder = checkout(t, await compiledHub())
  if (!makeReadOnly(t, folder)) return skipped(t)
  const hub = startIn(t, folder, { HUB_STORE: '', LOG_LEVEL: 'silent' }, 'setsid npm start')
  await publish(await hub.url(), '/users/alice/events', 'a')
  t.match(hub.stderr, /dist is started as it was built, because .* cannot be written to \((EROFS|EACCES)\)/)
  // To the process group, as Ctrl-C does: npm passes a signal only to its shell, which does not forward it.
  process.kill(-(hub.child.pid as number), 'SIGTERM')
  await hub.ended()
})

t.test('npm start in a read-only checkout without a build is an error with the solution', async (t) => {
  const folder = checkout(t)
  if (!makeReadOnly(t, folder)) return skipped(t)
  const hub = startIn(t, folder, {}, 'npm start')
  t.equal(await hub.ended(), 1)
  t.match(
    hub.stderr,
    /there is no build to start, and .* cannot be written to.*npm run build.*\(SSE_HUB_ERR_NOT_BUILT\)/
  )
  t.notMatch(hub.stderr, / {4}at /, 'no stack')
})
