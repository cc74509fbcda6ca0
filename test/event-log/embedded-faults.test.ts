import { execFileSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { EmbeddedLog } from '../../services/event-log/embedded/embedded-log.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import { openStore, type Store } from '../../services/event-log/embedded/store.ts'
import type { EventLog, ReadFrom, ReadResult } from '../../services/event-log/event-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { skipTest } from '../support/programs.ts'

const FULL = { code: 'SSE_HUB_ERR_LOG_FULL', statusCode: 507 }
const UNAVAILABLE = { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', statusCode: 503 }

const logger = { warn: () => {}, error: () => {} }

function draft(data: string, rest: Partial<NewEvent> = {}): NewEvent {
  return { channels: ['u:alice'], event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}

async function texts(log: EventLog): Promise<string[]> {
  const found: string[] = []
  for (let from: ReadFrom = 'oldest', left = 1; left > 0; ) {
    const page: ReadResult = await log.read({ channels: ['u:alice'], from, limit: 100_000 })
    found.push(...page.events.map(({ data }) => data.slice(0, 20)))
    from = page.next
    left = page.remaining
  }
  return found
}

/** Failures of a store's parts. */
interface Faults {
  transaction?: Error | undefined
  commit?: Error | undefined
  /** Reported although everything was committed. */
  committed?: Error | undefined
  flush?: Error | undefined
  /** Delays the report of a transaction's end. */
  retained?: Promise<void> | undefined
}

async function faulty(t: Test, durability: 'sync' | 'process' = 'sync', parts: Partial<Store> = {}) {
  const path = mkdtempSync(join(tmpdir(), 'embedded-faults-'))
  const clock = new FakeClock()
  const store = await openStore(path, durability, clock, logger)
  const faults: Faults = {}
  const transactions = new EventEmitter()
  const failing: Store = {
    ...store,
    ...parts,
    transaction: async (body) => {
      transactions.emit('begun')
      try {
        const done = await store.transaction((tables) => {
          if (faults.transaction !== undefined) throw faults.transaction
          const result = body(tables)
          if (faults.commit !== undefined) throw faults.commit
          return result
        })
        if (faults.committed !== undefined) throw faults.committed
        return done
      } finally {
        await faults.retained
        setImmediate(() => transactions.emit('settled'))
      }
    },
    flush: () => (faults.flush === undefined ? store.flush() : Promise.reject(faults.flush))
  }
  const log = new EmbeddedLog({
    ...{ store: failing, durability, retention: DEFAULT_RETENTION, idempotencyWindow: 300_000, clock, logger }
  })
  const dispatched: string[] = []
  await log.tail({
    onEvents: (events: readonly LogEvent[]) => dispatched.push(...events.map(({ data }) => data)),
    onDiscontinuity: () => {}
  })
  t.teardown(async () => {
    await log.close()
    rmSync(path, { recursive: true })
  })
  return { log, faults, dispatched, clock, transactions }
}

const withCode = (message: string, code: number | string) => Object.assign(new Error(message), { code })

t.test('a write that fails for lack of space is rejected as a whole, and the next one is accepted', async (t) => {
  const { log, faults, dispatched } = await faulty(t)
  await log.append([draft('a')])
  for (const error of [
    withCode('No space left on device', 28),
    withCode('Disk quota exceeded', 122),
    withCode('MDB_MAP_FULL: Environment mapsize limit reached', -30_792)
  ]) {
    for (const when of ['transaction', 'commit'] as const) {
      faults[when] = error
      const appends = [log.append([draft('b', { idempotency: idempotent('b') }), draft('c')]), log.append([draft('d')])]
      for (const append of appends) await t.rejects(append, { ...FULL, message: new RegExp(error.message) })
      t.equal(await log.ready(), false)
      t.same(await texts(log), ['a'], 'readers continue')
      t.equal(log.stats().head, 1)
      faults[when] = undefined
      t.equal(await log.ready(), true, 'it is ready again without an append')
    }
  }
  const [receipt] = await log.append([draft('b', { idempotency: idempotent('b') }), draft('c')])
  t.equal(receipt?.isRepeat, false)
  t.same(await texts(log), ['a', 'b', 'c'])
  t.same(dispatched, ['a', 'b', 'c'])
  t.equal(log.stats().head, 3)
})

t.test('a disk whose free space cannot be read rejects appends, and accepts them after it recovers', async (t) => {
  const { log, faults } = await faulty(t, 'sync', { folder: join(tmpdir(), 'embedded-faults-nowhere') })
  for (let again = 0; again < 3; again++) {
    faults.commit = withCode('Input/output error', 5)
    await t.rejects(log.append([draft('a')]), { ...UNAVAILABLE, message: /Input\/output error/ })
    faults.commit = undefined
    await log.append([draft('b')])
  }
  t.same(await texts(log), ['b', 'b', 'b'])
})

t.test('a listener that throws delays neither the others nor the publisher', async (t) => {
  const { log, dispatched } = await faulty(t)
  await log.tail({
    onEvents: () => {
      throw new Error('a listener failed')
    },
    onDiscontinuity: () => {}
  })
  const later: string[] = []
  await log.tail({ onEvents: (events) => later.push(...events.map(({ data }) => data)), onDiscontinuity: () => {} })
  await log.append([draft('a')])
  await log.append([draft('b')])
  t.same(
    [dispatched, later],
    [
      ['a', 'b'],
      ['a', 'b']
    ]
  )
})

t.test('a write that is reported as failed but was committed gives no number twice', async (t) => {
  const { log, faults } = await faulty(t)
  await log.append([draft('a')])
  faults.committed = withCode('Input/output error', 5)
  await t.rejects(log.append([draft('b')]), UNAVAILABLE)
  faults.committed = undefined
  await t.rejects(log.append([draft('c')]), { code: 'SSE_HUB_ERR_LOG_LOST', message: /reported as failed is there/ })
  t.equal(await log.ready(), false)
})

t.test('a folder that cannot be read rejects appends until it can be, and is logged once', async (t) => {
  const eacces = withCode('EACCES: permission denied, stat', 'EACCES')
  let error: Error | undefined
  const look = () => {
    if (error !== undefined) throw error
    return undefined
  }
  const watch = Object.defineProperties({}, { dataLoss: { get: look }, loss: { get: look } }) as Store['watch']
  const { log, clock } = await faulty(t, 'sync', { watch })
  await log.append([draft('a')])
  error = eacces
  await t.rejects(log.append([draft('b')]), { ...UNAVAILABLE, message: /EACCES/ })
  t.equal(await log.ready(), false)
  clock.advance(3_000)
  t.same(await texts(log), ['a'])
  error = undefined
  t.equal(await log.ready(), true)
  await log.append([draft('c')])
  t.same(await texts(log), ['a', 'c'])
})

t.test('a write that fails for another reason is rejected as unavailable', async (t) => {
  const { log, faults } = await faulty(t)
  faults.commit = withCode('Read-only file system', 30)
  await t.rejects(log.append([draft('a')]), { ...UNAVAILABLE, message: /Read-only file system/ })
  faults.commit = undefined
  await log.append([draft('b')])
  t.same(await texts(log), ['b'])
})

t.test('without "sync" a timer flushes the disk, and its failure stops the log, too', async (t) => {
  const { log, faults, dispatched, clock } = await faulty(t, 'process')
  await log.append([draft('a')])
  clock.advance(1_000)
  faults.flush = withCode('Input/output error', 'EIO')
  await log.append([draft('b')])
  while (await log.ready()) {
    clock.advance(1_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await t.rejects(log.append([draft('c')]), {
    ...UNAVAILABLE,
    message: /Input\/output error.*may or may not be stored/
  })
  t.equal(await log.ready(), false)
  t.same(await texts(log), ['a', 'b'])
  t.same(dispatched, ['a', 'b'], 'the listeners have the events that the readers see')
})

t.test('events that fail to be dropped are dropped later', async (t) => {
  const { log, faults, transactions, clock } = await faulty(t)
  await log.append([draft('a', { ttl: 500 }), draft('b')])
  faults.transaction = withCode('Input/output error', 5)
  const failed = once(transactions, 'settled')
  clock.advance(1_000)
  await failed
  t.same(await texts(log), ['b'])
  t.equal(log.stats().events, 2)
  faults.transaction = undefined
  const done = once(transactions, 'settled')
  clock.advance(1_000)
  await done
  t.equal(log.stats().events, 1)
})

t.test('a read of a closed log is rejected with its code', async (t) => {
  const { log } = await faulty(t)
  await log.close()
  t.throws(() => log.read({ channels: ['everyone'], from: 'oldest', limit: 1 }), { code: 'SSE_HUB_ERR_CLOSED' })
})

t.test('a store without its metadata is refused as damaged', async (t) => {
  for (const [row, message] of [
    ['state', /is damaged: its state is missing/],
    ['life', /is damaged: its state is missing/],
    ['version', /is damaged: its tables are empty/]
  ] as const) {
    for (const durability of ['sync', 'process'] as const) {
      const path = mkdtempSync(join(tmpdir(), 'embedded-faults-'))
      t.teardown(() => rmSync(path, { recursive: true }))
      const store = await openStore(path, durability, new FakeClock(), logger)
      await store.transaction(({ meta }) => meta.removeSync(row))
      await store.close()
      await t.rejects(embeddedLog({ path }), { code: 'SSE_HUB_ERR_LOG_STORE', message })
    }
  }
})

/** A disk that answers only after the returned function is called. */
function slowDisk(faults: Faults): () => void {
  let release = () => {}
  faults.retained = new Promise((resolve) => {
    release = resolve
  })
  return release
}

t.test('events that are appended during a slow write go together in the next write', async (t) => {
  const { log, faults, dispatched, transactions } = await faulty(t)
  let writes = 0
  transactions.on('begun', () => writes++)
  const release = slowDisk(faults)
  const settled: string[] = []
  const append = (data: string) => log.append([draft(data)]).then(() => settled.push(data))
  const first = append('a')
  await once(transactions, 'begun')
  const others = ['b', 'c', 'd'].map(append)
  await new Promise((resolve) => setImmediate(resolve))
  t.same(
    [writes, settled, dispatched, log.stats().head],
    [1, [], [], 0],
    'nothing is acknowledged before it is on the disk'
  )
  release()
  await Promise.all([first, ...others])
  t.equal(writes, 2)
  t.same(dispatched, ['a', 'b', 'c', 'd'])
  t.same(await texts(log), dispatched)
})

t.test('a write under way when the log is closed completes, and appends behind it are rejected', async (t) => {
  const { log, faults, transactions } = await faulty(t)
  const release = slowDisk(faults)
  const first = log.append([draft('a')])
  await once(transactions, 'begun')
  const second = log.append([draft('b')])
  const closed = log.close()
  release()
  const refused = t.rejects(second, { code: 'SSE_HUB_ERR_CLOSED' })
  t.equal((await first).length, 1)
  await refused
  await closed
})

t.test('the number and size of events that wait for a slow disk are bounded', async (t) => {
  for (const many of [
    Array.from({ length: 20_000 }, () => draft('b', { transient: true })),
    [draft('b'.repeat(33_554_432), { transient: true })]
  ]) {
    const { log, faults, transactions, dispatched } = await faulty(t)
    const release = slowDisk(faults)
    const first = log.append([draft('a')])
    await once(transactions, 'begun')
    const waiting = log.append(many)
    await t.rejects(log.append([draft('c')]), { ...UNAVAILABLE, message: /too many events wait for the disk/ })
    release()
    await Promise.all([first, waiting])
    await log.append([draft('d')])
    t.equal(dispatched.length, many.length + 2)
  }
})

/** A small disk for one test; undefined where mounting is not allowed. */
function smallDisk(t: Test): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
  t.teardown(() => {
    execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
  })
  return folder
}

t.test('on a full disk it rejects appends, still answers reads, and accepts appends when there is space', async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) {
    const why = 'a small disk cannot be mounted: run the test as root'
    return skipTest(t, why)
  }
  const path = join(disk, 'log')
  const log = await embeddedLog({ path })
  t.teardown(() => log.close())
  const dispatched: string[] = []
  await log.tail({
    onEvents: (events) => dispatched.push(...events.map(({ data }) => data.slice(0, 20))),
    onDiscontinuity: () => {}
  })
  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(2_000_000))
  const big = (name: number) => draft(`${name} `.padEnd(60_000, 'x'))
  let taken = 0
  const refused = async () => {
    for (; taken < 1_000; taken++) {
      const failure = await log.append([big(taken)]).then(
        () => undefined,
        (error) => error
      )
      if (failure !== undefined) return failure
    }
  }
  t.match(await refused(), { ...FULL, message: /has less than \d+ bytes left/ }, 'before LMDB reports it')
  const retained = await texts(log)
  t.equal(retained.length, taken)
  for (let again = 0; again < 3; again++) await t.rejects(log.append([big(taken), big(taken + 1)]), FULL)
  t.equal(await log.ready(), true, 'a small write still finds space')
  t.same(await texts(log), retained)
  t.same(dispatched, retained)
  rmSync(ballast)
  await log.append([big(taken++)])
  t.equal((await texts(log)).length, taken)
  t.match(await refused(), FULL, 'full again')
  await log.close()
  const again = await embeddedLog({ path })
  t.equal((await texts(again)).length, taken, 'opened on a full disk, all of it is there')
  await again.close()
})
