import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import t, { type Test } from 'tap'
import { EmbeddedLog } from '../../services/event-log/embedded/embedded-log.ts'
import { type EmbeddedLogOptions, embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import { openStore } from '../../services/event-log/embedded/store.ts'
import { readState, type State, type Tables, writeState } from '../../services/event-log/embedded/tables.ts'
import type { EventLog, ReadFrom, ReadResult } from '../../services/event-log/event-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import type { Channel } from '../../services/events/channel.ts'
import { parseCursor } from '../../services/events/cursor.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'

// Reads of a store whose rows were damaged while it was closed: a row that leads to another user's event, or to no
// event.

const SILENT = { warn: () => {}, error: () => {} }

function draft(channels: Channel | Channel[], data: string, rest: Partial<NewEvent> = {}): NewEvent {
  const to = typeof channels === 'string' ? [channels] : channels
  return { channels: to, event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}

interface Scene {
  readonly options: { readonly path: string; readonly durability: 'process'; readonly clock: FakeClock }
  /** The ids of the events that were appended before. */
  readonly ids: readonly string[]
  readonly start: ReadFrom
  /** Damages the rows after the check. */
  damage: (tables: Tables) => void
}

/** A closed store of some events. */
async function stored(t: Test, events: readonly NewEvent[]): Promise<Scene> {
  const path = mkdtempSync(join(tmpdir(), 'embedded-damage-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  const options = { path, durability: 'process', clock: new FakeClock() } as const
  const log = await embeddedLog(options)
  const start = (await read(log, 'everyone')).next
  const receipts = await log.append(events)
  await log.close()
  return { options, ids: receipts.map(({ id }) => `${id}`), start, damage: () => {} }
}

/** Opens the store, damages it after its check, and makes a log of it. */
async function reopened(
  t: Test,
  { options, damage }: Scene,
  rest: Partial<EmbeddedLogOptions> = {}
): Promise<EventLog> {
  const { path, clock, durability } = options
  const store = await openStore(path, durability, clock, SILENT)
  await store.transaction(damage)
  const retention = { ...DEFAULT_RETENTION, ...rest.retention }
  const log = new EmbeddedLog({ store, durability, retention, idempotencyWindow: 300_000, clock, logger: SILENT })
  t.teardown(() => log.close())
  return log
}

async function read(log: EventLog, channels: Channel | Channel[], from: ReadFrom = 'oldest'): Promise<ReadResult> {
  return log.read({ channels: [channels].flat(), from, limit: 1_000 })
}

const texts = ({ events }: ReadResult) => events.map(({ data }) => data)

const idOf = (tables: Tables, channel: Channel) => tables.channels.get(channel)?.[0] as number

t.test('a position that leads to an event of another user is a hole', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:bob', 'b2'), draft('u:alice', 'a3')])
  scene.damage = (tables) => {
    const row = tables.positions.get([idOf(tables, 'u:alice'), 1])
    if (row !== undefined) tables.positions.putSync([idOf(tables, 'u:alice'), 2], [1, ...row.slice(1)] as typeof row)
    tables.positions.removeSync([idOf(tables, 'u:alice'), 1])
  }
  const log = await reopened(t, scene)
  const page = await read(log, 'u:alice', scene.start)
  t.same([texts(page), page.gap, page.evicted], [['a3'], 'evicted', 2])
  t.same(texts(await read(log, 'u:alice')), ['a3'])
  t.same(texts(await read(log, 'u:alice', { last: 10 })), ['a3'])
  const after = parseCursor(scene.ids[1] as string) as ReadFrom
  t.equal((await read(log, 'u:alice', after)).gap, undefined, 'the hole lies before this cursor')
  const both = await read(log, ['u:alice', 'u:bob'], scene.start)
  t.same([texts(both), both.gap], [['b2', 'a3'], 'evicted'], 'a reader of both gets the event once')
  t.same(texts(await read(log, 'u:bob')), ['b2'])
})

t.test('a channel that has the positions of another user consists of holes', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:bob', 'b2'), draft('u:bob', 'b3')])
  scene.damage = (tables) => tables.channels.putSync('u:alice', tables.channels.get('u:bob') as never)
  const log = await reopened(t, scene)
  const page = await read(log, 'u:alice', scene.start)
  t.same([texts(page), page.gap, page.remaining], [[], 'evicted', 0])
  await log.append([draft('u:alice', 'a4')])
  t.same(texts(await read(log, 'u:alice')), ['a4'])
  t.same(texts(await read(log, 'u:bob')), ['b2', 'b3'])
})

t.test('an entry that differs from what was written is a hole', async (t) => {
  type Row = [string, number, number, Channel[], string, string, boolean, number]
  const changes: [string, (tables: Tables) => void][] = [
    ['gone', ({ entries }) => entries.removeSync(2)],
    ['of another number', ({ entries }) => entries.putSync(2, entries.get(1) as Row)],
    ['of another user', ({ entries }) => entries.putSync(2, entries.get(4) as Row)],
    ['with other data', ({ entries }) => entries.putSync(2, with_(entries.get(2) as Row, 5, 'a9'))],
    ['with another name', ({ entries }) => entries.putSync(2, with_(entries.get(2) as Row, 4, 'other'))],
    ['with another witness', ({ entries }) => entries.putSync(2, with_(entries.get(1) as Row, 0, 'x'.repeat(14)))],
    [
      'with another channel',
      ({ entries }) => entries.putSync(2, with_(entries.get(2) as Row, 3, ['u:alice', 'u:eve']))
    ],
    ['truncated', ({ entries }) => entries.putSync(2, (entries.get(2) as Row).slice(0, 5) as never)],
    ['not a list', ({ entries }) => entries.putSync(2, 'text' as never)],
    ['with invalid channels', ({ entries }) => entries.putSync(2, with_(entries.get(2) as Row, 3, 7))]
  ]
  for (const [name, change] of changes) {
    const scene = await stored(t, [
      ...[draft('u:alice', 'a1'), draft('u:alice', 'a2'), draft('u:alice', 'a3'), draft('u:bob', 'b4')]
    ])
    scene.damage = change
    const log = await reopened(t, scene)
    const page = await read(log, 'u:alice', scene.start)
    t.same([texts(page), page.gap, page.evicted], [['a1', 'a3'], 'evicted', 2], name)
  }
})

function with_<Row extends unknown[]>(row: Row, at: number, value: unknown): Row {
  return row.map((field, index) => (index === at ? value : field)) as Row
}

t.test('an entry that is not MessagePack is a hole, and any other row like it is refused at the start', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:alice', 'a2'), draft('u:bob', 'b3')])
  const garbage = Buffer.from([0x9f, 0xc1, 0xff])
  const corrupt = async (table: string, key: string | number | [number, number]) => {
    const root = open({
      path: scene.options.path,
      noSubdir: false,
      maxDbs: 16,
      pageSize: 4_096,
      overlappingSync: false
    })
    await root.openDB<Buffer, typeof key>(table, { encoding: 'binary' }).put(key, garbage)
    await root.close()
  }
  await corrupt('entries', 1)
  const log = await reopened(t, scene)
  const page = await read(log, 'u:alice', scene.start)
  t.same([texts(page), page.gap], [['a2'], 'evicted'])
  await log.close()
  await corrupt('channels', 'u:alice')
  await t.rejects(embeddedLog(scene.options), { code: 'SSE_HUB_ERR_LOG_STORE', message: /is damaged/ })
})

t.test('an invalid row of a channel or a position costs its channel a gap, and other channels nothing', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:alice', 'a2'), draft('u:bob', 'b3')])
  scene.damage = (tables) => {
    tables.positions.putSync([idOf(tables, 'u:bob'), 3], 'text' as never)
    tables.channels.putSync('u:alice', [1, 2] as never)
  }
  const log = await reopened(t, scene, { retention: { user: 1 } })
  const unknown = await read(log, 'u:alice', scene.start)
  t.same([texts(unknown), unknown.gap, unknown.evicted], [[], 'evicted', 3], 'its earlier events are not known')
  await log.append([draft('u:alice', 'a4'), draft('u:bob', 'b5')])
  t.same(texts(await read(log, 'u:alice')), ['a4'])
  const opened = await read(log, 'u:bob', scene.start)
  t.same([texts(opened), opened.gap], [['b5'], 'evicted'], 'retention has removed the damaged position')
})

t.test('a store whose tables do not agree is refused', async (t) => {
  type Row = [number, number, number, number, number, number, number]
  const channel = (tables: Tables, at: number, value: number) =>
    tables.channels.putSync('u:alice', with_(tables.channels.get('u:alice') as Row, at, value))
  const changes: [RegExp, (tables: Tables) => void][] = [
    [/holds 2 entries, and counts 3/, (tables) => channel(tables, 3, 3)],
    [/begins with another entry/, (tables) => channel(tables, 1, 1)],
    [/ends with another entry/, (tables) => channel(tables, 2, 1)],
    [/ends with another entry/, (tables) => channel(tables, 6, 1)],
    [/its channels hold 3 entries, and count 1/, (tables) => tables.channels.removeSync('u:alice')],
    [/u:alice holds 1 entries, and counts 2/, (tables) => tables.positions.removeSync([idOf(tables, 'u:alice'), 2])],
    [/it holds 2 entries, and counts 3/, (tables) => tables.entries.removeSync(2)],
    [/it holds entry 9, and counts 3/, (tables) => tables.entries.putSync(9, tables.entries.get(1) as never)],
    [/its newest entry is another/, (tables) => changeWitness(tables)]
  ]
  for (const [message, change] of changes) {
    const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:alice', 'a2'), draft('u:bob', 'b3')])
    const store = await openStore(scene.options.path, 'process', scene.options.clock, SILENT)
    await store.transaction(change)
    await store.close()
    const refusal = new RegExp(`is damaged: .*${message.source}.*Nothing in it was changed`)
    await t.rejects(embeddedLog(scene.options), { code: 'SSE_HUB_ERR_LOG_STORE', message: refusal }, message.source)
  }
})

function changeWitness(tables: Tables): void {
  writeState(tables, { ...(readState(tables) as State), witness: 'x'.repeat(14) })
}

t.test('an idempotency key that leads to another event, or to one that never existed, is not believed', async (t) => {
  const idempotency = { scope: 's', key: 'k', digest: 'd' }
  for (const change of [
    ({ ids }: Scene) => `${ids[1]}`.replace(/^2/, '1'),
    ({ ids }: Scene) => `${ids[1]}`.replace(/^2/, '9'),
    () => 'not a cursor'
  ]) {
    const scene = await stored(t, [draft('u:alice', 'a1', { idempotency }), draft('u:bob', 'b2')])
    scene.damage = ({ keys }) => {
      for (const { key, value } of [...keys.getRange({})]) keys.putSync(key, with_(value, 0, change(scene)))
    }
    const log = await reopened(t, scene)
    const [receipt] = await log.append([draft('u:alice', 'a3', { idempotency })])
    t.match(receipt, { isRepeat: false, id: /^3\./ })
  }
})

t.test('an index of scopes that leads nowhere keeps the bound and does not hang', async (t) => {
  const keys = (count: number) =>
    Array.from({ length: count }, (_, at) =>
      draft('u:alice', 'x', { transient: true, idempotency: { scope: 's', key: `${at}`, digest: '' } })
    )
  const scene = await stored(t, keys(100))
  scene.damage = ({ scopeSizes, scopeExpiries }) => {
    for (let id = 10; id < 20; id++) scopeSizes.putSync([30, id], id % 2 === 0 ? 's' : 'none')
    scopeSizes.putSync([29, 1], 's')
    for (let id = 10; id < 20; id++) scopeExpiries.putSync([1, id], 'none')
  }
  const log = await reopened(t, scene, { retention: { bytes: 10_000 } })
  await log.append(keys(200))
  t.equal((await log.append(keys(200).slice(-1)))[0]?.isRepeat, true)
})

t.test('an index of expiry that leads to an event without a TTL drops nothing', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a1', { ttl: 500 }), draft('u:bob', 'b2')])
  scene.damage = ({ expiring }) => {
    const [[until] = [0]] = expiring.getKeys({ limit: 1 })
    for (const seq of [2, 7]) expiring.putSync([until - 1, seq], true)
  }
  const log = await reopened(t, scene)
  scene.options.clock.advance(1_000)
  await log.append([draft('u:eve', 'e3')])
  t.same([texts(await read(log, 'u:alice')), texts(await read(log, 'u:bob'))], [[], ['b2']])
  t.equal(log.stats().events, 2)
})

t.test('an index of collapse keys that leads to another event drops nothing', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:alice', 'a2', { collapseKey: 'k' })])
  scene.damage = (tables) => tables.collapsed.putSync([idOf(tables, 'u:alice'), 'k'], 1)
  const log = await reopened(t, scene)
  await log.append([draft('u:alice', 'a3', { collapseKey: 'k' })])
  t.same(texts(await read(log, 'u:alice')), ['a1', 'a2', 'a3'])
})

t.test('an index of sizes that leads to other channels keeps the bound and does not hang', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a'.repeat(1_000)), draft('u:bob', 'b'.repeat(100))])
  scene.damage = (tables) => {
    for (let id = 100; id < 20_100; id++) tables.sizes.putSync([40, id], id % 2 === 0 ? 'u:bob' : `u:nobody ${id}`)
  }
  const log = await reopened(t, scene, { retention: { bytes: 2_500 } })
  await log.append([draft('u:eve', 'e'.repeat(1_000))])
  t.ok(log.stats().bytes <= 2_500)
  t.same((await read(log, 'u:bob')).events.length, 1, 'the lightest is still retained')
})

t.test('a channel that counts more than it retains is brought under its bounds', async (t) => {
  for (const retention of [{ user: 3 }, { channelBytes: 1_000 }, { bytes: 1_000 }]) {
    const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:alice', 'a2')])
    scene.damage = (tables) => {
      const [id, first, , , , , last] = tables.channels.get('u:alice') as number[]
      tables.channels.putSync('u:alice', [id, first, 1_000, 900, 90_000, 0, last] as never)
    }
    const log = await reopened(t, scene, { retention })
    for (let count = 0; count < 3; count++) await log.append([draft('u:alice', 'a3'), draft('u:alice', 'a4')])
    const page = await read(log, 'u:alice', scene.start)
    t.ok(texts(page).every((text) => text.startsWith('a')))
    t.equal(page.gap, 'evicted')
  }
})

t.test('a count of holes that is too large does not end the reading', async (t) => {
  const events = Array.from({ length: 9_000 }, (_, at) => draft('t:news', `${at}`, at % 2 ? { collapseKey: 'k' } : {}))
  const scene = await stored(t, events)
  scene.damage = (tables) => {
    for (const { key, value } of [...tables.blocks.getRange({})]) tables.blocks.putSync(key, [value[0], 1_000_000])
  }
  const log = await reopened(t, scene)
  const seen: string[] = []
  for (let from: ReadFrom = 'oldest'; ; ) {
    const page = await log.read({ channels: ['t:news'], from, limit: 500 })
    seen.push(...texts(page))
    if (page.remaining === 0) break
    from = page.next
  }
  t.equal(seen.length, log.stats().events)
})

t.test('entries that no position leads to are evicted by age', async (t) => {
  const scene = await stored(t, [draft('u:alice', 'a1'), draft('u:bob', 'b2'), draft('u:eve', 'e3')])
  scene.damage = (tables) => {
    tables.positions.removeSync([idOf(tables, 'u:alice'), 1])
    tables.entries.putSync(2, 'text' as never)
  }
  const log = await reopened(t, scene, { retention: { age: 500 } })
  scene.options.clock.advance(1_000)
  await log.append([draft('u:alice', 'a4')])
  t.same(texts(await read(log, 'u:alice')), ['a4'])
  t.equal(log.stats().events, 1)
})
