import { execFile, execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { type EmbeddedLogOptions, embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { skipTest } from '../support/programs.ts'

// Loss of the folder of an open store, and its permissions.

const LOST = { code: 'SSE_HUB_ERR_LOG_LOST', statusCode: 503 }
const run = promisify(execFile)

function draft(data: string): NewEvent {
  return { channels: ['u:alice'], event: 'message', data, transient: false, final: false, streams: 0 }
}

async function texts(log: EventLog): Promise<string[]> {
  const { events } = await log.read({ channels: ['u:alice'], from: 'oldest', limit: 1_000 })
  return events.map(({ data }) => data)
}

function home(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'embedded-folder-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function opened(t: Test, path: string, rest: Partial<EmbeddedLogOptions> = {}) {
  const lines: string[] = []
  const clock = new FakeClock()
  // As in other processes, whose events would be too old at another time.
  clock.wall = Date.now()
  const note = (level: string) => (details: object, message: string) => {
    const { err } = details as { err?: Error }
    lines.push([level, message, err?.message].join(' '))
  }
  const log = await embeddedLog({ path, clock, logger: { warn: note('warn'), error: note('error') }, ...rest })
  t.teardown(() => log.close())
  return { log, clock, lines }
}

const LOSSES: [string, RegExp, (path: string) => void, gone?: string][] = [
  ['its folder is deleted', /data.mdb was deleted or moved/, (path) => rmSync(path, { recursive: true })],
  ['its folder is moved away', /data.mdb was deleted or moved/, (path) => renameSync(path, `${path}-moved`)],
  [
    'its folder is replaced by a copy',
    /data.mdb was replaced/,
    (path) => {
      cpSync(path, `${path}-copy`, { recursive: true })
      renameSync(path, `${path}-moved`)
      renameSync(`${path}-copy`, path)
    }
  ],
  ['its data is deleted', /data.mdb was deleted or moved/, (path) => rmSync(join(path, 'data.mdb')), 'data.mdb'],
  [
    'its data is replaced',
    /data.mdb was replaced/,
    (path) => {
      cpSync(join(path, 'data.mdb'), join(path, 'copy'))
      renameSync(join(path, 'copy'), join(path, 'data.mdb'))
    }
  ]
]

for (const durability of ['sync', 'process'] as const) {
  for (const [name, reason, lose, file] of LOSSES) {
    t.test(`when ${name}, the next append is rejected and no more are accepted (${durability})`, async (t) => {
      const path = join(home(t), 'log')
      const { log, lines } = await opened(t, path, { durability })
      await log.append([draft('a')])
      t.equal(await log.ready(), true)
      lose(path)
      await t.rejects(log.append([draft('b')]), { ...LOST, message: reason })
      t.equal(await log.ready(), false)
      await t.rejects(log.append([draft('c')]), LOST)
      t.same(await texts(log), ['a'], 'events that were readable before are still readable')
      t.equal(lines.length, 1, 'one log line reports it')
      t.match(lines[0], new RegExp(`^error the event log is lost.*${reason.source}`))
      const second = { code: file === undefined ? 'SSE_HUB_ERR_LOG_IN_USE' : 'SSE_HUB_ERR_LOG_STORE' }
      await t.rejects(embeddedLog({ path }), second, 'this process still has it open')
      await log.close()
    })
  }
}

t.test('without an append, the loss of any open file is noticed within a second', async (t) => {
  for (const file of ['data.mdb', 'lock.mdb', 'owner.mdb', 'owner.mdb-lock']) {
    const path = join(home(t), 'log')
    const { log, clock, lines } = await opened(t, path)
    rmSync(join(path, file))
    clock.advance(1_000)
    t.equal(lines.length, 1)
    t.match(lines[0], `${file} was deleted or moved`)
    t.equal(await log.ready(), false)
    await t.rejects(log.append([draft('a')]), LOST)
    clock.advance(5_000)
    t.equal(lines.length, 1, 'once')
  }
})

t.test('readiness notices a lost folder at once', async (t) => {
  const path = join(home(t), 'log')
  const { log } = await opened(t, path)
  rmSync(path, { recursive: true })
  t.equal(await log.ready(), false)
})

t.test('a folder that is restored is opened again with all acknowledged events', async (t) => {
  const path = join(home(t), 'log')
  const { log } = await opened(t, path)
  await log.append([draft('a')])
  renameSync(path, `${path}-moved`)
  await t.rejects(log.append([draft('b')]), LOST)
  renameSync(`${path}-moved`, path)
  await t.rejects(log.append([draft('c')]), LOST, 'not without a restart')
  await log.close()
  const { log: again } = await opened(t, path)
  t.same(await texts(again), ['a'])
  await again.append([draft('d')])
  t.same(await texts(again), ['a', 'd'])
})

/** Opens the log in another process, appends, and closes it. */
const CHILD = `
const { embeddedLog } = await import(process.argv[1])
process.umask(Number(process.argv[3]))
const log = await embeddedLog({ path: process.argv[2] })
await log.append([{ channels: ['u:alice'], event: 'message', data: 'other', transient: false, final: false, streams: 0 }])
console.log('appended')
await log.close()`

const EMBEDDED = new URL('../../services/event-log/embedded/open-embedded-log.ts', import.meta.url).href

async function otherProcess(path: string, umask = 0o022): Promise<string> {
  const args = [...process.execArgv, '--input-type=module', '-e', CHILD, EMBEDDED, path, `${umask}`]
  try {
    return (await run(process.execPath, args, { timeout: 60_000 })).stdout.trim()
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    return /SSE_HUB_ERR_\w+/.exec(stderr)?.[0] ?? stderr
  }
}

t.test('a hub that takes the folder although its lock was deleted is noticed by the first', async (t) => {
  const path = join(home(t), 'log')
  const { log, lines } = await opened(t, path)
  await log.append([draft('a')])
  t.equal(await otherProcess(path), 'SSE_HUB_ERR_LOG_IN_USE')
  // The clock stands still, so the first hub does not check its files.
  for (const file of ['owner.mdb', 'owner.mdb-lock']) rmSync(join(path, file))
  t.equal(await otherProcess(path), 'appended')
  await t.rejects(log.append([draft('b')]), { ...LOST, message: /another hub writes to it/ })
  t.match(lines[0], /another hub writes to it/)
  t.equal(await log.ready(), false)
  await log.close()
  const { log: again } = await opened(t, path)
  t.same(await texts(again), ['a', 'other'], 'nothing of the second is overwritten')
})

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const modesOf = (path: string) =>
  Object.fromEntries([['.', modeOf(path)], ...readdirSync(path).map((name) => [name, modeOf(join(path, name))])])
const PRIVATE = {
  '.': '700',
  'data.mdb': '600',
  'event-log.json': '600',
  'lock.mdb': '600',
  'owner.mdb': '600',
  'owner.mdb-lock': '600'
}
const isWindows = process.platform === 'win32'

t.test('only its owner reads a new store, with any umask', { skip: isWindows }, async (t) => {
  for (const umask of [0, 0o022, 0o077]) {
    const path = join(home(t), 'new', 'log')
    t.equal(await otherProcess(path, umask), 'appended')
    t.same(modesOf(path), PRIVATE, `umask ${umask.toString(8)}`)
    t.equal(modeOf(join(path, '..')), '700')
  }
})

t.test(
  'a store that others could read is made private, with a log line for each file',
  { skip: isWindows },
  async (t) => {
    for (const umask of [0, 0o077]) {
      const path = join(home(t), 'log')
      t.equal(await otherProcess(path), 'appended')
      chmodSync(path, 0o755)
      for (const name of readdirSync(path)) chmodSync(join(path, name), 0o644)
      const before = process.umask(umask)
      const { log, lines } = await opened(t, path)
      process.umask(before)
      t.same(modesOf(path), PRIVATE)
      t.match(lines[0], /log had the mode 755, and has 700 now/)
      t.equal(lines.length, 6)
      t.ok(lines.some((line) => /data.mdb had the mode 644, and has 600 now/.test(line)))
      await log.close()
      const { lines: none } = await opened(t, path)
      t.same(none, [])
    }
  }
)

t.test(
  'a folder with other files keeps its mode, but the files of the store do not',
  { skip: isWindows },
  async (t) => {
    const path = join(home(t), 'log')
    mkdirSync(path)
    chmodSync(path, 0o755)
    writeFileSync(join(path, 'other.txt'), '', { mode: 0o644 })
    const { lines } = await opened(t, path)
    t.same(modesOf(path), { ...PRIVATE, '.': '755', 'other.txt': '644' })
    t.same(lines.length, 1)
    t.match(lines[0], /keeps its mode, because it holds other files \(other.txt\)/)
  }
)

t.test('without a logger the process warns', async (t) => {
  const path = join(home(t), 'log')
  const warnings: string[] = []
  const note = ({ name, message }: Error) => warnings.push(`${name}: ${message}`)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const log = await embeddedLog({ path })
  rmSync(path, { recursive: true })
  await t.rejects(log.append([draft('a')]), LOST)
  await log.close()
  await new Promise((resolve) => setImmediate(resolve))
  t.match(warnings, [/FastifySseHubWarning: the event log is lost.*was deleted or moved/])
})

/** Whether a disk was mounted on the folder; false where mounting is not allowed. */
function mounted(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

t.test('a disk that is mounted over the folder, or removed, is noticed', async (t) => {
  const disk = join(home(t), 'disk')
  mkdirSync(disk)
  if (!mounted(disk)) {
    const why = 'NOT TESTED: a disk that is removed, for which this test must be allowed to mount a tmpfs (be root)'
    return skipTest(t, why)
  }
  const path = join(disk, 'log')
  const { log } = await opened(t, path)
  await log.append([draft('a')])
  t.ok(mounted(disk))
  await t.rejects(log.append([draft('b')]), LOST)
  t.equal(await log.ready(), false)
  execFileSync('umount', [disk])
  const second = await opened(t, join(disk, 'second'))
  execFileSync('umount', ['-l', disk])
  t.notOk(existsSync(join(disk, 'second')))
  await t.rejects(second.log.append([draft('c')]), LOST)
  await log.close()
  await second.log.close()
})
