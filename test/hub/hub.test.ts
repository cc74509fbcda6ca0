import t from 'tap'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { resolveRetention } from '../../services/event-log/retention.ts'
import { Hub } from '../../services/hub/hub.ts'
import type { Undelivered } from '../../services/hub/hub-events.ts'
import type { Stream } from '../../services/streams/stream.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const INVALID = { code: /^SSE_HUB_ERR_INVALID_/ }
const SILENT = { error: () => {}, warn: () => {} }

function textOf(sink: FakeSink): string[] {
  return sink.published.map(({ data }) => data)
}

t.test('an event for a user reaches every stream of that user, and no other', async (t) => {
  const { hub, open } = await startHub(t)
  const sinks = ['alice', 'alice', 'bob'].map((user) => open({ user }).sink)
  t.match(await hub.send('alice', { event: 'order.shipped', data: { id: 42 } }), {
    id: /^1\.[0-9a-z]{14}$/,
    streams: 2
  })
  await settle()
  t.same(sinks.map(textOf), [['{"id":42}'], ['{"id":42}'], []])
  t.equal(sinks[0]?.published[0]?.event, 'order.shipped')
})

t.test('an event for several users or topics is one event, and a stream that matches twice gets it once', async (t) => {
  const { hub, open } = await startHub(t)
  const alice = open({ topics: ['a', 'b'] }).sink
  const bob = open({ user: 'bob', topics: ['b'] }).sink
  await settle()
  t.equal((await hub.send(['alice', 'bob', 'alice'], { data: '1' })).streams, 2)
  t.equal((await hub.publish(['a', 'b'], { data: '2' })).streams, 2)
  const [receipt] = await hub.publishBatch([{ to: { users: ['alice'], topics: ['a'], everyone: true }, data: '3' }])
  t.equal(receipt?.streams, 2)
  await settle()
  t.same([alice, bob].map(textOf), [
    ['1', '2', '3'],
    ['1', '2', '3']
  ])
  t.same(
    alice.published.map(({ id }) => id),
    bob.published.map(({ id }) => id)
  )
})

t.test('a broadcast reaches all streams, except those that follow a topic', async (t) => {
  const { hub, open } = await startHub(t)
  const sinks = [open().sink, open({ user: 'bob' }).sink, open({ user: null, topics: ['a'], follows: true }).sink]
  t.equal((await hub.broadcast({ data: 'hello' })).streams, 2)
  await settle()
  t.same(sinks.map(textOf), [['hello'], ['hello'], []])
})

t.test('an event for an offline user is accepted, and kept in the history of the user', async (t) => {
  const { hub, open } = await startHub(t)
  t.match(await hub.send('alice', { data: '1' }), { streams: 0 })
  const { sink } = open({ last: 20 })
  await settle()
  t.same(textOf(sink), ['1'])
})

t.test('a batch is published in order, with nothing between, and each event has its receipt', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  const batch = hub.publishBatch([
    { to: { users: ['alice'] }, data: '1' },
    { to: { everyone: true }, data: '2' },
    { to: { users: ['bob'] }, data: 'for bob' },
    { to: { users: ['alice'] }, data: '3', transient: true }
  ])
  hub.send('alice', { data: '4' })
  const receipts = await batch
  await settle()
  t.same(
    receipts.map(({ streams }) => streams),
    [1, 1, 0, 1]
  )
  t.same(
    receipts.map(({ id }) => id?.split('.')[0]),
    ['1', '2', '3', undefined]
  )
  t.same(textOf(sink), ['1', '2', '3', '4'])
})

t.test('a batch with one bad event is not published at all', async (t) => {
  const { hub, open } = await startHub(t, { maxBatch: 2, maxEventBytes: 10 })
  const { sink } = open()
  const good = { to: { users: ['alice'] }, data: '1' }
  await t.rejects(hub.publishBatch([good, { to: {}, data: '2' }]), { code: 'SSE_HUB_ERR_INVALID_TARGET' })
  await t.rejects(hub.publishBatch([good, { ...good, data: 'much too long' }]), { code: 'SSE_HUB_ERR_EVENT_TOO_LARGE' })
  await t.rejects(hub.publishBatch([good, good, good]), { code: 'SSE_HUB_ERR_BATCH_TOO_LARGE', statusCode: 413 })
  await t.rejects(hub.publishBatch([good, null] as never), { code: 'SSE_HUB_ERR_INVALID_DRAFT' })
  await t.rejects(hub.publishBatch('not a list' as never), { code: 'SSE_HUB_ERR_INVALID_REQUEST' })
  t.same(await hub.publishBatch([]), [])
  await settle()
  t.same(textOf(sink), [])
  t.equal(hub.stats().published, 0)
})

t.test('a mistake never becomes a broadcast', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  for (const user of [undefined, null, '', [], {}, 42, ['alice', undefined]]) {
    await t.rejects(hub.send(user as never, { data: 'secret' }), INVALID)
    await t.rejects(hub.publish(user as never, { data: 'secret' }), INVALID)
  }
  for (const to of [undefined, {}, { everyone: false }, { everyone: 'no' }, { users: 'alice' }, { user: 'alice' }]) {
    await t.rejects(hub.publishBatch([{ to: to as never, data: 'secret' }]), INVALID)
  }
  await settle()
  t.same(textOf(sink), [])
})

t.test('a repeated idempotency key returns the first receipt, and publishes nothing', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  const first = await hub.send('alice', { data: '1', idempotencyKey: 'k' })
  open()
  const again = await hub.send('alice', { data: '1', idempotencyKey: 'k' })
  await settle()
  t.same(again, first)
  t.same(textOf(sink), ['1'])
})

t.test('an idempotency key is scoped by publisher and target, in any order of the target', async (t) => {
  const { hub } = await startHub(t)
  const draft = { data: '1', idempotencyKey: 'k' }
  const receipts = [
    await hub.send('alice', draft),
    await hub.send('bob', draft),
    await hub.publish('alice', draft),
    await hub.broadcast(draft),
    await hub.send(['alice', 'bob'], draft),
    await hub.send('alice', draft, { publisher: 'billing' }),
    await hub.send('alice', draft, { publisher: 'shipping' })
  ]
  t.equal(new Set(receipts.map(({ id }) => id)).size, receipts.length)
  const [again] = await hub.publishBatch([{ to: { users: ['bob', 'alice'] }, ...draft }])
  t.same(again, receipts[4])
  t.same(await hub.send('alice', draft, { publisher: 'billing' }), receipts[5])
})

t.test('calls without a publisher have the same one on every node of a hub', async (t) => {
  const log = new MemoryLog({ retention: resolveRetention({}), idempotencyWindow: 1_000, clock: new FakeClock() })
  const nodes = [await startHub(t, { log }), await startHub(t, { log })]
  const draft = { data: '1', idempotencyKey: 'k' }
  const send = (publisher?: string) => Promise.all(nodes.map(({ hub }) => hub.send('alice', draft, { publisher })))
  const [ofOne, ofOther] = await send()
  t.equal(ofOther?.id, ofOne?.id)
  const [ofRelay, ofOtherRelay] = await send('outbox')
  t.equal(ofOtherRelay?.id, ofRelay?.id)
  t.not(ofRelay?.id, ofOne?.id)
})

t.test('a repeated idempotency key with different content is refused, for every part of the content', async (t) => {
  const { hub } = await startHub(t)
  const draft = { event: 'a', data: '1', idempotencyKey: 'k' }
  const { id } = await hub.send('alice', draft)
  const others = [{ event: 'b' }, { data: '2' }, { ttl: 1 }, { collapseKey: 'c' }, { transient: true }, { final: true }]
  for (const other of others) {
    await t.rejects(hub.send('alice', { ...draft, ...other }), {
      code: 'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED',
      statusCode: 422
    })
  }
  t.equal((await hub.send('alice', draft)).id, id)
  t.equal((await hub.history({ user: 'alice' })).events.length, 1)
})

t.test('a publisher without a name is an error', async (t) => {
  const { hub } = await startHub(t)
  for (const publisher of [42, null, 'x'.repeat(1_025), 'a\nb'] as never[]) {
    await t.rejects(hub.send('alice', { data: '1' }, { publisher }), { code: 'SSE_HUB_ERR_INVALID_DRAFT' })
  }
})

t.test('the host gets an undelivered event for each offline user', async (t) => {
  const { hub, open } = await startHub(t)
  const undelivered: Undelivered[] = []
  hub.on('undelivered', (event) => undelivered.push(event))
  open({ user: 'alice' })
  const { id } = await hub.send(['alice', 'bob', 'carol'], { event: 'hi', data: { a: 1 } })
  t.same(undelivered, [
    { user: 'bob', id, event: 'hi', data: '{"a":1}' },
    { user: 'carol', id, event: 'hi', data: '{"a":1}' }
  ])
  await hub.broadcast({ data: 'for no single user' })
  await hub.publish('topic', { data: 'for no single user' })
  t.equal(undelivered.length, 2)
  await hub.send('bob', { data: 'gone', transient: true })
  t.match(undelivered[2], { user: 'bob', id: null })
})

t.test('a repeated idempotency key emits no second undelivered event', async (t) => {
  const { hub } = await startHub(t)
  const undelivered: Undelivered[] = []
  hub.on('undelivered', (event) => undelivered.push(event))
  await hub.send('bob', { data: '1', idempotencyKey: 'k' })
  await hub.send('bob', { data: '1', idempotencyKey: 'k' })
  t.equal(undelivered.length, 1)
})

t.test('a listener that throws or rejects is logged, and harms neither the others nor the hub', async (t) => {
  const { hub, open, logged } = await startHub(t)
  const emitted: string[] = []
  for (const name of ['open', 'close', 'undelivered'] as const) {
    hub.on(name, () => {
      throw new Error(`${name} threw`)
    })
    hub.on(name, async () => {
      throw new Error(`${name} rejected`)
    })
    hub.on(name, () => emitted.push(name))
  }
  const { sink } = open()
  await hub.send('alice', { data: '1' })
  await hub.send('bob', { data: '2' })
  await settle()
  await hub.disconnect('alice')
  await settle()
  t.same(emitted, ['open', 'undelivered', 'close'])
  t.same(textOf(sink), ['1'])
  t.same(
    new Set(logged.map(({ cause }) => cause)),
    new Set(['open', 'close', 'undelivered'].flatMap((name) => [`${name} threw`, `${name} rejected`]))
  )
})

t.test('a removed listener is not called', async (t) => {
  const { hub, open } = await startHub(t)
  const opened: Stream[] = []
  const listener = (stream: Stream) => opened.push(stream)
  hub.on('open', listener)
  const { stream } = open()
  hub.off('open', listener)
  open()
  t.same(
    opened.map(({ id }) => id),
    [stream.id]
  )
})

t.test('a listener may close the stream of its event', async (t) => {
  const { hub, open } = await startHub(t)
  hub.on('open', (stream) => stream.close('kicked'))
  const { sink } = open()
  await hub.send('alice', { data: '1' })
  await settle()
  t.ok(sink.isEnded)
  t.same(
    sink.events.map(({ event }) => event),
    ['hub.close']
  )
})

t.test('the presence of an online user has each stream of that user', async (t) => {
  const { hub, clock, open } = await startHub(t)
  t.equal(await hub.isOnline('alice'), false)
  t.same(await hub.presence('alice'), { user: 'alice', online: false, streams: [] })
  const first = open({ topics: ['news'] })
  const second = open()
  t.equal(await hub.isOnline('alice'), true)
  const since = new Date(clock.now()).toISOString()
  t.same(await hub.presence('alice'), {
    user: 'alice',
    online: true,
    streams: [
      { id: first.stream.id, since, topics: ['news'] },
      { id: second.stream.id, since, topics: [] }
    ]
  })
  first.sink.disconnect()
  second.sink.disconnect()
  t.equal(await hub.isOnline('alice'), false)
  await t.rejects(hub.isOnline(''), { code: 'SSE_HUB_ERR_INVALID_USER' })
})

t.test('online users are listed by name, a page at a time', async (t) => {
  const { hub, open } = await startHub(t)
  for (const user of ['carol', 'alice', 'bob', 'alice', 'dave']) open({ user })
  open({ user: null, topics: ['a'], follows: true })
  const first = await hub.online({ limit: 3 })
  t.same(first.users, [
    { user: 'alice', streams: 2 },
    { user: 'bob', streams: 1 },
    { user: 'carol', streams: 1 }
  ])
  t.same(await hub.online({ after: first.next as string }), { users: [{ user: 'dave', streams: 1 }], next: null })
  for (const limit of [0, 1.5, 1_001]) await t.rejects(hub.online({ limit }), INVALID)
})

t.test('history is read a page at a time, and says whether it is complete', async (t) => {
  const { hub, clock } = await startHub(t, { retention: { user: 4 } })
  const ids: (string | null)[] = []
  for (let at = 0; at < 6; at++) ids.push((await hub.send('alice', { event: 'n', data: at })).id)
  const first = await hub.history({ user: 'alice' }, { limit: 3 })
  t.same(
    first.events.map(({ id, data }) => [id, data]),
    [2, 3, 4].map((at) => [ids[at], String(at)])
  )
  t.match(first.events[0], { event: 'n', time: new Date(clock.now()).toISOString() })
  t.equal(first.complete, false)
  const rest = await hub.history({ user: 'alice' }, { after: first.cursor })
  t.same(
    rest.events.map(({ id }) => id),
    [ids[5]]
  )
  t.equal(rest.complete, true)
  t.equal((await hub.history({ user: 'alice' }, { after: ids[0] as string })).complete, false, 'one is gone')
  t.equal((await hub.history({ user: 'alice' }, { after: 'garbage' })).complete, false)
  t.equal((await hub.history({ topic: 'alice' })).events.length, 0)
  t.equal((await hub.history({ everyone: true })).events.length, 0)
  for (const limit of [0, -1, 1.5, 1_001, Number.NaN]) {
    await t.rejects(hub.history({ user: 'alice' }, { limit }), INVALID)
  }
})

t.test("a stream that begins at the hub's cursor misses no later event", async (t) => {
  const { hub, open } = await startHub(t)
  await hub.send('alice', { data: 'before' })
  const lastEventId = hub.cursor()
  await hub.send('alice', { data: '1' })
  const { sink } = open({ lastEventId })
  await hub.send('alice', { data: '2' })
  await settle()
  t.same(textOf(sink), ['1', '2'])
})

t.test('streams are closed by id, by object or by user, and the result is their number', async (t) => {
  const { hub, open } = await startHub(t)
  const [a, b, c, d, bob] = ['alice', 'alice', 'alice', 'alice', 'bob'].map((user) => open({ user }))
  t.equal(await hub.disconnect({ stream: a?.stream.id as string }), 1)
  t.equal(await hub.disconnect(b?.stream as Stream), 1)
  t.equal(await hub.disconnect({ stream: a?.stream.id as string }), 0)
  t.equal(await hub.disconnect({ stream: 'no such' }), 0)
  t.equal(await hub.disconnect('alice'), 2)
  t.equal(await hub.disconnect('nobody'), 0)
  t.same(
    [a, b, c, d, bob].map((opened) => opened?.sink.isEnded),
    [true, true, true, true, false]
  )
  await t.rejects(hub.disconnect(''), { code: 'SSE_HUB_ERR_INVALID_USER' })
})

t.test('a stream gets nothing after disconnect() has returned', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  await hub.disconnect('alice')
  const before = sink.writes.length
  await hub.send('alice', { data: 'too late' })
  await settle()
  t.equal(sink.writes.length, before)
})

t.test('the hub counts its streams and events', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  open({ user: 'bob' })
  await hub.send('alice', { data: '1' })
  await hub.publishBatch([
    { to: { everyone: true }, data: '2' },
    { to: { everyone: true }, data: '3' }
  ])
  await settle()
  sink.disconnect()
  hub.countRefusal('rateLimited')
  const { log, closed, refused, ...counts } = hub.stats()
  t.same(counts, { streams: 1, users: 1, cluster: { streams: 1, users: 1 }, published: 3, opened: 2 })
  t.match(closed, { client: 1, kicked: 0, slow: 0, error: 0 })
  t.match(refused, { rateLimited: 1, unauthenticated: 0, connections: 0 })
  t.match(log, { kind: 'memory', events: 3, head: 3, channels: 2 })
})

t.test('a hub is as ready as its log', async (t) => {
  const { hub } = await startHub(t)
  t.equal(await hub.ready(), true)
  const ill = new Hub({}, SILENT)
  t.teardown(() => ill.dispose())
  const log = Object.assign(Object.create(ill.manager.log), { ready: async () => false })
  const other = new Hub({ log }, SILENT)
  t.equal(await other.ready(), false)
})

t.test('disposing of a hub ends its streams and closes its log, also when repeated', async (t) => {
  const { hub, clock, open } = await startHub(t)
  const { sink } = open()
  await settle()
  await Promise.all([hub.dispose(), hub.dispose()])
  await hub.dispose()
  t.ok(sink.isEnded)
  t.equal(clock.timers, 0)
  await t.rejects(hub.send('alice', { data: '1' }), { code: 'SSE_HUB_ERR_CLOSED', statusCode: 503 })
  t.equal(await hub.ready(), false)
})

t.test('publishing works while streams are drained, so that a returning client misses nothing', async (t) => {
  const { hub } = await startHub(t)
  await hub.drain()
  t.match(await hub.send('alice', { data: '1' }), { streams: 0 })
})

t.test('a hub that is started twice delivers once', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.start()
  const { sink } = open()
  await settle()
  await hub.send('alice', { data: '1' })
  await settle()
  t.same(textOf(sink), ['1'])
})

t.test('a receipt for several users counts the streams of each', async (t) => {
  const { hub, open } = await startHub(t)
  open()
  open()
  open({ user: 'bob', topics: ['news'] })
  open({ user: '__proto__' })
  const plain = (receipt: { streams: number; users?: object }) => [receipt.streams, receipt.users]
  t.same(plain(await hub.send('alice', { data: '' })), [2, undefined], 'the sum says it')
  t.same(plain(await hub.send(['alice', 'alice'], { data: '' })), [2, undefined])
  t.same(plain(await hub.send(['alice', 'bob', 'carol'], { data: '' })), [3, { alice: 2, bob: 1, carol: 0 }])
  const { users = {} } = await hub.send(['alice', '__proto__'], { data: '', transient: true })
  t.same(Object.entries(users), [
    ['alice', 2],
    ['__proto__', 1]
  ])
  const [mixed, topic] = await hub.publishBatch([
    { to: { users: ['alice', 'bob'], topics: ['news'] }, data: '' },
    { to: { topics: ['news'] }, data: '' }
  ])
  t.same(
    [mixed, topic].map((receipt) => receipt && plain(receipt)),
    [
      [3, { alice: 2, bob: 1 }],
      [1, undefined]
    ]
  )
  const many = Array.from({ length: 1_001 }, (_, at) => `user ${at}`)
  t.equal(Object.keys((await hub.send(many.slice(1), { data: '' })).users ?? {}).length, 1_000)
  t.equal((await hub.send(many, { data: '' })).users, undefined)
  const once = { data: '', idempotencyKey: 'k' }
  const first = await hub.send(['alice', 'bob'], once)
  t.same(plain(first), [3, undefined], 'the log stores the sum alone')
  t.same(await hub.send(['alice', 'bob'], once), first)
})
