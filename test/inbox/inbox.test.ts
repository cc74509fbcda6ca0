import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import { Hub } from '../../services/hub/hub.ts'
import type { Unread } from '../../services/hub/hub-events.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type FakeSink, settle } from '../support/fake-sink.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { startSlowHub } from '../support/slow-hub.ts'
import { startHub } from '../support/test-hub.ts'
import { untilSame } from '../support/test-node.ts'

type Open = (t: Test) => Promise<EventLog>

const DAY = 86_400_000
const server = withoutRedis ? undefined : await RedisServer.start()
t.teardown(() => server?.stop())

const LOGS: Record<string, Open> = {
  memory: async () =>
    new MemoryLog({ retention: DEFAULT_RETENTION, idempotencyWindow: 60_000, clock: new FakeClock() }),
  embedded: (t) => {
    const path = mkdtempSync(join(tmpdir(), 'inbox-'))
    t.teardown(() => rmSync(path, { recursive: true, force: true }))
    return embeddedLog({ path, durability: 'process' })
  }
}
if (server !== undefined) LOGS.redis = () => redisLog({ url: server.url, prefix: randomBytes(6).toString('hex') })

/** The number that a page shows: that of the newest event with one. */
function bell(sink: FakeSink): number | undefined {
  const newest = sink.events.findLast(
    ({ event, data }) =>
      ['hub.read', 'hub.unread'].includes(event) || (event === 'hub.welcome' && 'unread' in JSON.parse(data))
  )
  return newest === undefined ? undefined : JSON.parse(newest.data).unread
}

const bells = (...sinks: FakeSink[]) => sinks.map(bell)

function names(sink: FakeSink): string[] {
  return sink.events.map(({ event, data }) => (event === 'message' ? data : event)).slice(1)
}

async function send(hub: Hub, ...texts: string[]): Promise<string[]> {
  const ids: string[] = []
  for (const data of texts) ids.push((await hub.send('alice', { data, inbox: true })).id)
  return ids
}

for (const [kind, open] of Object.entries(LOGS)) {
  t.test(`with the ${kind} log`, async (t) => {
    t.test('every stream of a user shows the same number through sending, reading and retracting', async (t) => {
      const { hub, open: connect } = await startHub(t, { log: await open(t) })
      const one = connect().sink
      const other = connect().sink
      const bob = connect({ user: 'bob' }).sink
      await untilSame(async () => one.events.length > 0 && other.events.length > 0 && bob.events.length > 0, true)
      t.same(bells(one, other, bob), [undefined, undefined, undefined], 'no inbox is in use')
      const [first, second, third] = await send(hub, '1', '2', '3')
      await untilSame(async () => bells(one, other), [3, 3])
      t.same(await hub.markRead('alice', second as string), { upTo: second, unread: 1 })
      await untilSame(async () => bells(one, other), [1, 1])
      t.ok(await hub.retract(third as string))
      await untilSame(async () => bells(one, other), [0, 0])
      t.equal(await hub.unread('alice'), 0)
      const late = connect().sink
      await untilSame(async () => bells(late), [0])
      t.equal(bell(bob), undefined)
      t.same(names(bob), [])
      t.equal(one.events.findLast(({ event }) => event === 'hub.retract')?.data, JSON.stringify({ id: third }))
      t.notOk(await hub.retract(third as string), 'it is gone')
      t.same(await hub.markRead('alice', first as string), { upTo: second, unread: 0 }, 'never moves back')
    })

    t.test('a stream that returns gets what it missed, and the number of now at its end', async (t) => {
      const { hub, open: connect } = await startHub(t, { log: await open(t) })
      const start = hub.cursor()
      const [first, second] = await send(hub, '1', '2')
      await hub.markRead('alice', first as string)
      await send(hub, '3', '4')
      t.ok(await hub.retract(second as string))
      const { sink } = connect({ lastEventId: start })
      await untilSame(async () => sink.events.at(-1)?.event, 'hub.unread')
      t.equal(JSON.parse(sink.events[0]?.data ?? '').unread, 2)
      t.same(names(sink), ['1', 'hub.read', '3', '4', 'hub.retract', 'hub.unread'])
      t.equal(bell(sink), 2)
      t.equal(sink.events.at(-1)?.id, undefined)
    })

    t.test('an inbox is read page by page, the newest event first', async (t) => {
      const { hub } = await startHub(t, { log: await open(t) })
      t.same(await hub.inbox('alice'), { events: [], unread: 0, readUpTo: null, next: null })
      const texts = Array.from({ length: 12 }, (_, at) => `${at}`)
      const ids = await send(hub, ...texts)
      await hub.send('alice', { data: 'not in the inbox' })
      await hub.retract(ids[8] as string)
      await hub.markRead('alice', ids[4] as string)
      const pages: string[][] = []
      let before: string | undefined
      do {
        const page = await hub.inbox('alice', { limit: 4, before })
        t.match(page, { unread: 6, readUpTo: ids[4] })
        for (const { data, isRead } of page.events) t.equal(isRead, Number(data) <= 4, data)
        pages.push(page.events.map(({ data }) => data))
        before = page.next ?? undefined
      } while (before !== undefined)
      t.same(pages, [
        ['11', '10', '9', '7'],
        ['6', '5', '4', '3'],
        ['2', '1', '0']
      ])
      const dataOf = async (query: object) => (await hub.inbox('alice', query)).events.map(({ data }) => data)
      t.same(await dataOf({ after: ids[9] }), ['11', '10'])
      t.match(await hub.inbox('alice', { after: ids[9], limit: 2 }), { next: null })
      t.same(await dataOf({ after: ids[3], before: ids[7], limit: 2 }), ['6', '5'])
      t.match(await hub.inbox('alice', { after: ids[3], before: ids[7], limit: 2 }), { next: ids[5] })
      t.same(await dataOf({ before: ids[8] }), ['7', '6', '5', '4', '3', '2', '1', '0'], 'before a retracted one')
    })

    t.test('large events of an inbox are all on the page', async (t) => {
      const { hub } = await startHub(t, { log: await open(t), maxEventBytes: 1_048_576 })
      const ids = await send(hub, ...Array.from({ length: 8 }, (_, at) => `${at}`.padStart(120_000)))
      const page = await hub.inbox('alice', { before: ids[7] as string })
      t.same(
        page.events.map(({ data }) => data.trim()),
        ['6', '5', '4', '3', '2', '1', '0']
      )
      const newest = await hub.inbox('alice', { limit: 3 })
      t.same(
        newest.events.map(({ id }) => id),
        ids.slice(-3).reverse()
      )
    })

    t.test('ids that the hub has never sent are refused or unknown', async (t) => {
      const { hub } = await startHub(t, { log: await open(t) })
      const { hub: stranger } = await startHub(t)
      const [own] = await send(hub, '1')
      const [foreign] = await send(stranger, '1')
      const forged = `${own?.split('.')[0]}.${foreign?.split('.')[1]}`
      for (const id of [foreign, forged, 'nonsense', '', '1.0'] as string[]) {
        await t.rejects(hub.markRead('alice', id), { code: 'SSE_HUB_ERR_UNKNOWN_CURSOR' }, id)
        await t.rejects(hub.inbox('alice', { before: id }), { code: 'SSE_HUB_ERR_UNKNOWN_CURSOR' }, id)
        await t.rejects(hub.inbox('alice', { after: id }), { code: 'SSE_HUB_ERR_UNKNOWN_CURSOR' }, id)
        t.equal(await hub.retract(id), false, id)
      }
      t.match(await hub.inbox('alice'), { unread: 1, readUpTo: null })
    })

    t.test('a retraction for one user leaves the event to the others', async (t) => {
      const { hub, open: connect } = await startHub(t, { log: await open(t) })
      const [alice, bob] = ['alice', 'bob'].map((user) => connect({ user }).sink) as [FakeSink, FakeSink]
      const { id } = await hub.send(['alice', 'bob'], { data: 'both', inbox: true })
      const plain = await hub.send('alice', { data: 'not in the inbox' })
      await untilSame(async () => bells(alice, bob), [1, 1])
      t.equal(await hub.retract(plain.id, { user: 'alice' }), false)
      t.equal(await hub.retract(id, { user: 'carol' }), false)
      t.equal(await hub.retract(id, { user: 'alice' }), true)
      t.equal(await hub.retract(id, { user: 'alice' }), false)
      await untilSame(async () => bells(alice), [0])
      t.same([await hub.unread('alice'), await hub.unread('bob')], [0, 1])
      t.same(names(bob), ['both', 'hub.unread'])
      t.equal(await hub.retract(id), true)
      await untilSame(async () => bells(bob), [0])
    })

    t.test('read cursors that move at the same time end at the newest', async (t) => {
      const { hub } = await startHub(t, { log: await open(t) })
      const ids = await send(hub, ...Array.from({ length: 10 }, (_, at) => `${at}`))
      await Promise.all([...ids, ...ids.toReversed()].map((id) => hub.markRead('alice', id)))
      t.match(await hub.inbox('alice'), { unread: 0, readUpTo: ids.at(-1) })
    })
  })
}

t.test('an event for an inbox is addressed to users, and is logged', async (t) => {
  const { hub } = await startHub(t)
  const refused = { code: 'SSE_HUB_ERR_INVALID_DRAFT' }
  await t.rejects(hub.publish('news', { data: 1, inbox: true }), refused)
  await t.rejects(hub.broadcast({ data: 1, inbox: true }), refused)
  await t.rejects(hub.send('alice', { data: 1, inbox: true, transient: true }), refused)
  await t.rejects(hub.send('alice', { data: 1, inbox: 'yes' as unknown as boolean }), refused)
  await t.rejects(hub.send('alice', { data: 1, collapseKey: 'hub.read' }), refused)
  const [receipt] = await hub.publishBatch([{ to: { users: ['alice'], topics: ['news'] }, data: 1, inbox: true }])
  t.match(await hub.inbox('alice'), { events: [{ id: receipt?.id }] })
  for (const call of [
    () => hub.inbox('alice', { limit: 0 }),
    () => hub.inbox('alice', { from: 1 } as object),
    () => hub.inbox('alice', { before: 1 as unknown as string }),
    () => hub.markRead('alice', undefined as unknown as string)
  ])
    await t.rejects(call as () => Promise<unknown>, { code: 'SSE_HUB_ERR_INVALID_REQUEST' })
  await t.rejects(hub.unread(''), { code: 'SSE_HUB_ERR_INVALID_USER' })
  await t.rejects(hub.retract('x', { user: '' }), { code: 'SSE_HUB_ERR_INVALID_USER' })
})

t.test('an idempotency key tells an event for the inbox from one that is not', async (t) => {
  const { hub } = await startHub(t)
  const draft = { data: 'x', idempotencyKey: 'k' }
  const first = await hub.send('alice', { ...draft, inbox: true })
  t.same(await hub.send('alice', { ...draft, inbox: true }), first)
  await t.rejects(hub.send('alice', draft), { code: 'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED' })
  t.equal(await hub.unread('alice'), 1)
})

t.test('an inbox outlives the history of the user, and forgets after its own age', async (t) => {
  const { hub, clock, open } = await startHub(t)
  await send(hub, 'old')
  clock.advance(2 * DAY)
  const [fresh] = await send(hub, 'fresh')
  t.equal(await hub.unread('alice'), 2)
  const { sink } = open({ from: 'oldest' })
  await settle()
  t.same([names(sink), bell(sink)], [['fresh', 'hub.unread'], 2])
  await hub.markRead('alice', fresh as string)
  clock.advance(60 * DAY)
  t.match(await hub.inbox('alice'), { unread: 0, readUpTo: fresh, events: [{ data: 'fresh' }, { data: 'old' }] })
  clock.advance(29 * DAY)
  t.same(
    (await hub.inbox('alice')).events.map(({ data }) => data),
    ['fresh']
  )
  clock.advance(2 * DAY)
  t.same(await hub.inbox('alice'), { events: [], unread: 0, readUpTo: null, next: null })
})

t.test('a stream that is slow or still replaying shows the newest number once it has caught up', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  sink.room = 10
  const ids = await send(hub, 'a'.repeat(100), 'b', 'c')
  await settle()
  await hub.markRead('alice', ids[1] as string)
  await settle()
  sink.drain()
  await settle(8)
  t.equal(bell(sink), 1)
  t.equal(sink.events.at(-1)?.event, 'hub.unread')
  const returned = open({ lastEventId: ids[0] as string })
  await send(hub, 'd')
  await settle(8)
  t.equal(bell(returned.sink), 2)
})

t.test('a count that fails is logged, and repeated until it succeeds', async (t) => {
  const { hub, log, clock, open, logged } = await startSlowHub(t, { isSlow: false })
  const { sink } = open()
  await settle()
  log.failingReads = 3
  await send(hub, '1')
  await settle()
  t.same([bell(sink), names(sink)], [undefined, ['1']])
  t.match(logged, [{ level: 'error', message: /unread events could not be counted/ }])
  for (let round = 0; round < 4; round++) {
    clock.advance(1_000)
    await settle()
  }
  t.equal(bell(sink), 1)
  t.equal(logged.length, 1)
})

t.test('many events of a turn are counted once', async (t) => {
  const { hub, log, open } = await startSlowHub(t, { isSlow: false })
  const { sink } = open()
  await settle()
  await hub.publishBatch(Array.from({ length: 50 }, (_, at) => ({ to: { users: ['alice'] }, data: at, inbox: true })))
  await settle(6)
  t.equal(sink.events.filter(({ event }) => event === 'hub.unread').length, 1)
  t.equal(bell(sink), 50)
  t.ok(log)
})

t.test('streams that follow a topic show no number', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open({ topics: ['task'], follows: true, from: 'oldest' })
  await hub.publishBatch([{ to: { users: ['alice'], topics: ['task'] }, data: 'x', inbox: true }])
  await settle()
  t.same(names(sink), ['x'])
})

t.test('two nodes over Redis show the same number, also after a restart', { skip: withoutRedis }, async (t) => {
  const options = { url: server?.url as string, prefix: randomBytes(6).toString('hex') }
  const one = await startHub(t, { log: await redisLog(options) })
  const two = await startHub(t, { log: await redisLog(options) })
  const [here, there] = [one.open().sink, two.open().sink]
  const ids = await send(one.hub, '1', '2', '3', '4')
  await untilSame(async () => bells(here, there), [4, 4])
  await two.hub.markRead('alice', ids[1] as string)
  await untilSame(async () => bells(here, there), [2, 2])
  t.ok(await two.hub.retract(ids[3] as string))
  await untilSame(async () => bells(here, there), [1, 1])
  await Promise.all(ids.slice(0, 3).map((id, at) => (at % 2 ? one : two).hub.markRead('alice', id)))
  await send(two.hub, '5')
  await untilSame(async () => bells(here, there), [1, 1])
  const back = two.open({ lastEventId: ids[0] as string }).sink
  await untilSame(async () => bells(back), [1])
  t.notOk(names(back).includes('4'))
  await one.hub.dispose()
  await two.hub.dispose()
  const again = await startHub(t, { log: await redisLog(options) })
  const { sink } = again.open()
  await untilSame(async () => bells(sink), [1])
  t.match(await again.hub.inbox('alice'), { unread: 1, readUpTo: ids[2], events: [{ data: '5' }, {}, {}, {}] })
})

/** A hub whose events are unread after a minute, and what it emits. */
async function startWatched(t: Test, log?: EventLog) {
  const started = await startHub(t, { log, unreadAfter: 60_000, clock: new FakeClock({ wall: Date.now() }) })
  const { hub, clock } = started
  const unread: Unread[] = []
  const listen = () => hub.on('unread', (event) => unread.push(event))
  /** Passes time until a condition holds. */
  const advanceUntil = async (isTrue: () => boolean) => {
    for (let passed = 0; !isTrue(); passed += 1_000) {
      if (passed > 600_000) throw new Error(`waited in vain; emitted: ${JSON.stringify(unread)}`)
      clock.advance(1_000)
      await settle()
    }
  }
  return { ...started, unread, listen, advanceUntil }
}

t.test('the hub emits the events that stayed unread for `unreadAfter`, each once and in order', async (t) => {
  const { hub, clock, unread, listen, advanceUntil } = await startWatched(t)
  listen()
  const first = await hub.send(['alice', 'bob'], { event: 'task', data: { due: 1 }, inbox: true })
  const retracted = await hub.send('alice', { data: 'retracted', inbox: true })
  await hub.send('alice', { data: 'in no inbox' })
  await hub.retract(retracted.id)
  await hub.markRead('bob', first.id)
  const second = await hub.send('bob', { data: 'second', inbox: true })
  const sentAt = clock.monotonic()
  await advanceUntil(() => unread.length === 2)
  t.ok(clock.monotonic() - sentAt >= 60_000)
  t.same(unread, [
    { users: ['alice'], id: first.id, event: 'task', data: '{"due":1}' },
    { users: ['bob'], id: second.id, event: 'message', data: 'second' }
  ])
  const read = await hub.send('alice', { data: 'read in time', inbox: true })
  await hub.markRead('alice', read.id)
  const last = await hub.send('alice', { data: 'last', inbox: true })
  await advanceUntil(() => unread.length === 3)
  t.equal(unread[2]?.id, last.id)
})

t.test('a listener that comes late gets the unread events from before', async (t) => {
  const { hub, unread, listen, advanceUntil } = await startWatched(t)
  const { id } = await hub.send('alice', { data: 'early', inbox: true })
  listen()
  await advanceUntil(() => unread.length === 1)
  t.equal(unread[0]?.id, id)
})

t.test('a hub that starts again emits what became unread meanwhile', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'unread-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  const before = await startWatched(t, await embeddedLog({ path, durability: 'process' }))
  const { id } = await before.hub.send('alice', { data: 'waits', inbox: true })
  await before.hub.dispose()
  const after = await startWatched(t, await embeddedLog({ path, durability: 'process' }))
  after.listen()
  await after.advanceUntil(() => after.unread.length === 1)
  t.equal(after.unread[0]?.id, id)
})

t.test('of several nodes with a listener one emits an unread event', { skip: withoutRedis }, async (t) => {
  const options = { url: server?.url as string, prefix: randomBytes(6).toString('hex') }
  const emitted: string[] = []
  const nodes = await Promise.all(
    [1, 2].map(async () => {
      const { log, cluster } = await redisHub(options)
      const hub = new Hub({ log, cluster, unreadAfter: 1 }, { error: t.fail, warn: t.fail } as never)
      t.teardown(() => hub.dispose())
      hub.on('unread', ({ data }) => emitted.push(data))
      await hub.start()
      return hub
    })
  )
  for (const [at, hub] of nodes.entries()) await hub.send('alice', { data: `${at}`, inbox: true })
  await untilSame(async () => emitted, ['0', '1'])
  await nodes[0]?.send('alice', { data: 'last', inbox: true })
  await untilSame(async () => emitted, ['0', '1', 'last'])
})
