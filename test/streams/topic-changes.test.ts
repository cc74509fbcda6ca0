import t from 'tap'
import type { EventStream } from '../../services/streams/event-stream.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { answerAll, memoryLog, startSlowHub } from '../support/slow-hub.ts'
import { startHub } from '../support/test-hub.ts'

const namesOf = (sink: FakeSink) => sink.events.map(({ event, data }) => (event === 'message' ? data : event))
const reportsOf = (sink: FakeSink) =>
  sink.events.filter(({ event }) => event === 'hub.topics').map(({ data }) => JSON.parse(data).topics)

t.test('a topic begins when it is subscribed to, and the client gets its topics before the first event', async (t) => {
  const { hub, open } = await startHub(t)
  const { stream, sink } = open({ topics: ['a'] })
  await hub.publish('b', { data: 'b0' })
  t.equal(await stream.subscribe(['b', 'a']), true)
  await hub.publish('b', { data: 'b1' })
  await hub.publish('a', { data: 'a1' })
  await hub.publish(['a', 'b'], { data: 'ab' })
  await hub.publish('b', { data: 'b2', transient: true })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'hub.topics', 'b1', 'a1', 'ab', 'b2'])
  t.same(reportsOf(sink), [['a', 'b']])
  t.same(stream.topics, ['a', 'b'])
})

t.test('nothing of a topic is sent after it was unsubscribed', async (t) => {
  const { hub, open } = await startHub(t)
  const { stream, sink } = open({ topics: ['a', 'b'] })
  await settle()
  await hub.publish('a', { data: 'a1' })
  t.equal(await stream.unsubscribe('a'), true)
  await hub.publish('a', { data: 'a2' })
  await hub.publish(['a', 'b'], { data: 'ab' })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'a1', 'hub.topics', 'ab'])
  t.same(reportsOf(sink), [['b']])
})

t.test(
  'the report carries the position of the change, so that a client that returns gets nothing of before',
  async (t) => {
    const { hub, open } = await startHub(t)
    const { stream, sink } = open()
    await settle()
    await hub.publish('b', { data: 'b0' })
    await stream.subscribe('b')
    sink.disconnect()
    await hub.publish('b', { data: 'b1' })
    const { sink: next } = open({ topics: ['b'], lastEventId: sink.parser.lastEventId })
    await settle()
    t.same(namesOf(next), ['hub.welcome', 'b1'])
  }
)

t.test('a change without an effect is not reported', async (t) => {
  const { open } = await startHub(t)
  const { stream, sink } = open({ topics: ['a'] })
  await settle()
  await stream.subscribe('a')
  await stream.unsubscribe(['b'])
  await stream.subscribe([])
  t.same(namesOf(sink), ['hub.welcome'])
})

t.test('counts, presence and the registry follow the change', async (t) => {
  const { hub, open } = await startHub(t)
  const { stream } = open({ topics: ['a'] })
  await stream.subscribe(['b', 'c'])
  await stream.unsubscribe('a')
  t.same((await hub.presence('alice')).streams[0]?.topics, ['b', 'c'])
  const counts = ['a', 'b', 'c'].map(async (topic) => (await hub.publish(topic, { data: 1 })).streams)
  t.same(await Promise.all(counts), [0, 1, 1])
  stream.close()
  t.equal((await hub.publish(['a', 'b', 'c'], { data: 1 })).streams, 0)
  t.same([...hub.manager.registry.listeners('t:b')], [])
})

t.test('wrong names, too many topics and streams whose topics are fixed are errors, and change nothing', async (t) => {
  const { open } = await startHub(t, { maxTopics: 3 })
  const { stream, sink } = open({ topics: ['a'] })
  await t.rejects(stream.subscribe(['b', '']), { code: 'SSE_HUB_ERR_INVALID_TOPIC' })
  await t.rejects(stream.subscribe(5 as unknown as string), { code: 'SSE_HUB_ERR_INVALID_REQUEST' })
  await t.rejects(stream.subscribe(['b', 'c', 'd']), { code: 'SSE_HUB_ERR_TOO_MANY_TOPICS' })
  t.same(stream.topics, ['a'])
  t.equal(await stream.subscribe(['b', 'c', 'b']), true)
  t.same(stream.topics, ['a', 'b', 'c'])
  const following = open({ user: null, topics: ['task'], follows: true }).stream
  const fed = open({ user: null, topics: [], follows: true }).stream
  for (const fixed of [following, fed]) {
    await t.rejects(fixed.subscribe('b'), { code: 'SSE_HUB_ERR_TOPICS_FIXED', statusCode: 409 })
    await t.rejects(fixed.unsubscribe('task'), { code: 'SSE_HUB_ERR_TOPICS_FIXED' })
  }
  sink.disconnect()
  t.equal(await stream.subscribe('d'), false)
  t.equal(await stream.unsubscribe('a'), false)
})

t.test('changes take effect in the order of the calls', async (t) => {
  const { open, log } = await startSlowHub(t)
  const { stream } = open()
  await answerAll(log)
  const changes = [stream.subscribe('a'), stream.unsubscribe('a'), stream.subscribe('b'), stream.unsubscribe('c')]
  await answerAll(log)
  t.same(await Promise.all(changes), [true, true, true, true])
  t.same(stream.topics, ['b'])
})

t.test('a topic that is added while the stream replays begins at its moment, not in the history', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { evaluatesLate: true })
  for (let at = 0; at < 300; at++) {
    await hub.send('alice', { data: `old ${at}` })
    await hub.publish('b', { data: `b old ${at}` })
  }
  const { stream, sink } = open({ from: 'oldest' })
  await settle()
  log.answer(1)
  await settle()
  log.isSlow = false
  await stream.subscribe('b')
  log.isSlow = true
  await hub.send('alice', { data: 'E1' })
  await hub.publish('b', { data: 'b1' })
  await hub.send('alice', { data: 'E2' })
  await answerAll(log)
  const old = Array.from({ length: 300 }, (_, at) => `old ${at}`)
  t.same(namesOf(sink), ['hub.welcome', ...old, 'hub.topics', 'E1', 'b1', 'E2'])
  t.equal(JSON.parse(sink.events[0]?.data ?? '').replayed, 300)
})

t.test('a topic that is removed while a page is read is not in the page', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { evaluatesLate: false })
  await hub.publish('a', { data: 'a0' })
  await hub.send('alice', { data: 'old' })
  const { stream, sink } = open({ topics: ['a'], from: 'oldest' })
  await settle()
  await stream.unsubscribe('a')
  await answerAll(log)
  t.same(namesOf(sink), ['hub.welcome', 'old', 'hub.topics'])
})

t.test('a kept transient event of a topic that is removed is dropped', async (t) => {
  const { hub, open, log } = await startSlowHub(t)
  const { stream, sink } = open({ topics: ['a', 'b'] })
  await settle()
  await hub.publish('a', { data: 'Ta', transient: true })
  await hub.publish('b', { data: 'Tb', transient: true })
  await stream.unsubscribe('a')
  await answerAll(log)
  t.same(namesOf(sink), ['hub.welcome', 'Tb', 'hub.topics'])
})

t.test('an eviction before the start of a topic is not a gap, and one after it is', async (t) => {
  const retention = { topic: 3 }
  const { hub, open } = await startHub(t, { retention })
  const { stream, sink } = open()
  await settle()
  for (let at = 0; at < 10; at++) await hub.publish('b', { data: `b old ${at}` })
  sink.room = 0
  await hub.send('alice', { data: 'E1' })
  await settle()
  await stream.subscribe('b')
  for (let at = 0; at < 3; at++) await hub.publish('b', { data: `b${at}` })
  sink.drain()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'E1', 'hub.topics', 'b0', 'b1', 'b2'])
  sink.room = 0
  await hub.send('alice', { data: 'E2' })
  await settle()
  for (let at = 3; at < 8; at++) await hub.publish('b', { data: `b${at}` })
  sink.drain()
  await settle()
  t.same(namesOf(sink).slice(6), ['E2', 'hub.gap', 'b5', 'b6', 'b7'])
})

t.test('a subscription waits for a tail that lags, and fails if the tail does not come', async (t) => {
  const { hub, open, log, clock } = await startSlowHub(t, { isSlow: false, isLagging: true })
  const { stream, sink } = open()
  await hub.publish('b', { data: 'before' })
  await settle()
  let isDone = false
  const subscribed = stream.subscribe('b').then(() => {
    isDone = true
  })
  await settle()
  t.notOk(isDone)
  log.dispatch()
  await subscribed
  await hub.publish('b', { data: 'after' })
  log.dispatch()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'hub.topics', 'after'])
  await hub.publish('c', { data: 'before' })
  const failing = stream.subscribe('c')
  await settle()
  clock.advance(3_001)
  await t.rejects(failing, { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE' })
  t.same(stream.topics, ['b'])
})

t.test('a log that cannot be read fails the subscription, and the stream goes on', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { isSlow: false })
  const { stream, sink } = open({ topics: ['a'] })
  await settle()
  log.failingReads = 1
  await t.rejects(stream.subscribe('b'), { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE' })
  t.equal(await stream.subscribe('c'), true)
  await hub.publish(['a', 'b', 'c'], { data: 'E' })
  await settle()
  t.same(stream.topics, ['a', 'c'])
  t.same(namesOf(sink), ['hub.welcome', 'hub.topics', 'E'])
})

t.test('after a reset of the log, a topic whose start is lost gets all that the new log has', async (t) => {
  const { hub, open, log, clock } = await startSlowHub(t, { isSlow: false })
  for (let at = 0; at < 5; at++) await hub.send('alice', { data: `old ${at}` })
  const { stream, sink } = open({ from: 'oldest' })
  await settle()
  sink.room = 0
  await hub.send('alice', { data: 'E1' })
  await settle()
  await hub.send('alice', { data: 'E2' })
  await settle()
  await stream.subscribe('b')
  await log.replace(memoryLog(clock))
  await hub.publish('b', { data: 'b1' })
  await settle()
  sink.drain()
  await settle()
  t.same(namesOf(sink).slice(6), ['E1', 'hub.gap', 'b1', 'hub.topics'])
  t.equal(sink.parser.lastEventId, sink.published.at(-1)?.lastEventId)
})

t.test('a client that changes its topics and never reads costs bounded memory', async (t) => {
  const { hub, open } = await startHub(t)
  const { stream, sink } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: 'fills it' })
  await settle()
  const names = Array.from({ length: 90 }, (_, at) => `${at}-${'x'.repeat(200)}`)
  for (let at = 0; at < 100; at++) {
    await stream.subscribe(names)
    await stream.unsubscribe(names.slice(1))
  }
  sink.drain()
  await settle()
  t.ok(Buffer.concat(sink.writes).length < 250_000, `${Buffer.concat(sink.writes).length} bytes`)
  t.same(reportsOf(sink).at(-1), [names[0]])
})

t.test('streams whose topics change leave nothing behind when they close meanwhile', async (t) => {
  const { hub, open, log, clock } = await startSlowHub(t)
  const timers = clock.timers
  const streams: EventStream[] = []
  for (let at = 0; at < 10; at++) streams.push(open({ topics: ['a'] }, new FakeSink()).stream)
  const changes = streams.flatMap((stream) => [stream.subscribe('b'), stream.unsubscribe('a')])
  for (const stream of streams) stream.close()
  await answerAll(log)
  t.ok((await Promise.all(changes)).every((isChanged) => !isChanged))
  t.same([...hub.manager.registry.listeners('t:a'), ...hub.manager.registry.listeners('t:b')], [])
  // The leave grace of the user.
  clock.advance(10_000)
  t.equal(clock.timers, timers)
})
