import t from 'tap'
import { formatCursor } from '../../services/events/cursor.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { answerAll, memoryLog, startSlowHub } from '../support/slow-hub.ts'
import { startHub } from '../support/test-hub.ts'

/** Room for the reconnection time, but not for the welcome. */
const ROOM_TO_BEGIN = 20

function textOf(sink: FakeSink): string[] {
  return sink.published.map(({ data }) => data)
}

function namesOf(sink: FakeSink): string[] {
  return sink.events.map(({ event, data }) => (event === 'message' ? data : event))
}

t.test('the first bytes do not wait for the log', async (t) => {
  const { open, log } = await startSlowHub(t)
  const { sink } = open()
  await settle()
  t.match(String(Buffer.concat(sink.writes)), /^: \n$/)
  await answerAll(log)
  t.same(namesOf(sink), ['hub.welcome'])
  t.equal(String(Buffer.concat(sink.writes)).match(/retry/g)?.length, 1)
})

for (const evaluatesLate of [true, false]) {
  const when = evaluatesLate ? 'and is in its answer' : 'and is not in its answer'

  t.test(`an event that is published during the first read of a stream, ${when}, reaches it once`, async (t) => {
    const { hub, open, log } = await startSlowHub(t, { evaluatesLate })
    await hub.send('alice', { data: 'before' })
    const { sink } = open()
    await settle()
    await hub.send('alice', { data: '1' })
    log.answer(1)
    await settle()
    await hub.send('alice', { data: '2' })
    await answerAll(log)
    t.same(textOf(sink), ['1', '2'])
  })

  t.test(`an event that is published during a replay, ${when}, follows the history once`, async (t) => {
    const { hub, open, log } = await startSlowHub(t, { evaluatesLate })
    const { id } = await hub.send('alice', { data: '0' })
    for (let at = 1; at <= 300; at++) await hub.send('alice', { data: String(at) })
    const { sink } = open({ lastEventId: id as string })
    for (let at = 301; at <= 310; at++) {
      await settle(2)
      await hub.send('alice', { data: String(at) })
      log.answer(1)
    }
    await answerAll(log)
    await hub.send('alice', { data: '311' })
    await answerAll(log)
    t.same(
      textOf(sink),
      Array.from({ length: 311 }, (_, index) => String(index + 1))
    )
  })
}

t.test('events that were read ahead of a lagging tail are not delivered again by the tail', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { isLagging: true, isSlow: false })
  const { sink } = open()
  await hub.send('alice', { data: '1' })
  await hub.send('alice', { data: '2' })
  await settle()
  t.same(textOf(sink), ['1', '2'], 'read')
  log.dispatch()
  await hub.send('alice', { data: '3' })
  log.dispatch()
  await settle()
  t.same(textOf(sink), ['1', '2', '3'])
})

t.test('events that were read ahead are not delivered again after a transient event', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { isLagging: true, isSlow: false })
  const { sink } = open()
  await hub.send('alice', { data: 'typing', transient: true })
  await hub.send('alice', { data: '1' })
  await settle()
  log.dispatch()
  await settle()
  t.same(textOf(sink), ['1', 'typing'])
})

t.test('a heartbeat never has the head of a tail that its stream is ahead of or behind', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t, { isLagging: true, isSlow: false })
  const { sink } = open()
  await hub.send('bob', { data: 'to bob' })
  const { id } = await hub.send('alice', { data: '1' })
  await settle()
  log.dispatch(1)
  clock.advance(31_000)
  t.equal(sink.parser.lastEventId, id)
  t.ok(namesOf(sink).includes('hub.heartbeat'))
})

t.test('an event that arrives just when a stream has become live and drained is delivered', async (t) => {
  const { hub, open, log } = await startSlowHub(t)
  const sink = new FakeSink()
  sink.room = 0
  open({}, sink)
  await settle()
  sink.drain()
  log.answer()
  await new Promise((resolve) => process.nextTick(resolve))
  await hub.send('alice', { data: '1' })
  await settle()
  t.equal(log.waiting, 0)
  t.same(namesOf(sink), ['hub.welcome', '1'])
})

t.test('a long history is read to its end, even if the tail lags behind its beginning', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { isLagging: true })
  for (let at = 1; at <= 300; at++) await hub.send('alice', { data: String(at) })
  const { sink } = open({ from: 'oldest' })
  await answerAll(log)
  t.equal(textOf(sink).length, 300)
})

t.test('a stream that got a reset gets later gaps, even those with lower numbers', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t, { isLagging: true, isSlow: false })
  for (let at = 1; at <= 50; at++) await hub.send('bob', { data: String(at) })
  log.dispatch()
  const sink = new FakeSink()
  sink.room = ROOM_TO_BEGIN
  open({}, sink)
  await log.replace(memoryLog(clock, { user: 2 }))
  for (const data of ['new 1', 'new 2']) await hub.send('alice', { data })
  log.dispatch()
  await settle()
  for (const data of ['new 3', 'new 4']) await hub.send('alice', { data })
  log.dispatch()
  sink.drain()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'hub.gap', 'hub.gap', 'new 3', 'new 4'])
  t.same(
    sink.events.slice(1, 3).map(({ data }) => JSON.parse(data).reason),
    ['reset', 'evicted']
  )
})

t.test('a log that cannot be read when a stream opens closes the stream for now', async (t) => {
  const { hub, open, log, logged } = await startSlowHub(t)
  log.failingReads = 1
  const { sink } = open()
  await settle()
  t.same(JSON.parse(sink.events.at(-1)?.data ?? ''), { reason: 'error', reconnect: true })
  t.ok(sink.isEnded && sink.parser.isAtBoundary)
  t.equal(hub.stats().closed.error, 1)
  t.match(logged, [{ level: 'error', message: 'the event log could not be read' }])
})

t.test('a log that throws instead of rejecting closes an opening stream, too', async (t) => {
  const clock = new FakeClock()
  const log = memoryLog(clock)
  const { open } = await startHub(t, { log, clock })
  log.read = () => {
    throw new Error('no such thing')
  }
  const { sink } = open()
  await settle()
  t.same(JSON.parse(sink.events.at(-1)?.data ?? ''), { reason: 'error', reconnect: true })
})

t.test('a read that fails later is retried after a second, without a hole or a duplicate', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t)
  const { sink, stream } = open()
  await answerAll(log)
  sink.room = 0
  await hub.send('alice', { data: '1' })
  await settle()
  await hub.send('alice', { data: '2' })
  log.failingReads = 2
  sink.drain()
  await settle()
  await hub.send('alice', { data: '3' })
  clock.advance(900)
  await settle()
  t.equal(log.waiting, 0)
  for (let second = 0; second < 3; second++) {
    clock.advance(1_100)
    await answerAll(log)
  }
  t.same(textOf(sink), ['1', '2', '3'])
  t.notOk(stream.isClosed)
  clock.advance(5_000)
  await settle()
  t.equal(log.waiting, 0, 'answered reads are not repeated')
})

t.test('a stream whose history cannot be read gets heartbeats', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t)
  const { sink } = open()
  await answerAll(log)
  sink.room = 0
  await hub.send('alice', { data: '1' })
  await settle()
  await hub.send('alice', { data: '2' })
  log.failingReads = Number.POSITIVE_INFINITY
  sink.drain()
  for (let second = 0; second < 20; second++) {
    clock.advance(1_000)
    await settle()
  }
  t.same(namesOf(sink).slice(1), ['1', 'hub.heartbeat'])
})

t.test('an answer that comes after its stream was closed is not written', async (t) => {
  const { hub, open, log } = await startSlowHub(t)
  await hub.send('alice', { data: '1' })
  const first = open({ from: 'oldest' })
  const second = open({ from: 'oldest' })
  await settle()
  await hub.disconnect(first.stream)
  second.sink.disconnect()
  log.fail(1)
  log.answer()
  await settle()
  t.same(textOf(first.sink), [])
  t.same(textOf(second.sink), [])
  t.equal(hub.stats().closed.error, 0)
})

t.test('answers of the log that arrive out of order each reach their own stream', async (t) => {
  const { hub, open, log } = await startSlowHub(t)
  const users = ['alice', 'bob', 'carol']
  for (const user of users) await hub.send(user, { data: `for ${user}` })
  const sinks = users.map((user) => open({ user, from: 'oldest' }).sink)
  await answerAll(log)
  t.same(
    sinks.map(textOf),
    users.map((user) => [`for ${user}`])
  )
})

t.test('a discontinuity of the tail leaves no hole: streams read the lost events', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { isLagging: true })
  const { sink } = open()
  await answerAll(log)
  await hub.send('alice', { data: '1' })
  log.dispatch()
  await hub.send('alice', { data: '2' })
  await hub.send('alice', { data: '3' })
  log.loseConnection()
  await answerAll(log)
  await hub.send('alice', { data: '4' })
  log.dispatch()
  await answerAll(log)
  t.same(namesOf(sink), ['hub.welcome', '1', '2', '3', '4'])
})

t.test('after a discontinuity the hub has the head of the log, and stops reading', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t, { isLagging: true, isSlow: false })
  for (const data of ['1', '2', '3']) await hub.send('alice', { data })
  log.dispatch()
  open()
  await settle()
  await log.replace(memoryLog(clock))
  log.dispatch()
  const { next } = await log.read({ channels: ['everyone'], from: 'head', limit: 1 })
  t.equal(hub.cursor(), formatCursor(next))
  await settle(20)
  let reads = 0
  const read = log.read.bind(log)
  log.read = (query) => {
    reads++
    return read(query)
  }
  await settle(20)
  t.equal(reads, 0)
})

t.test('events that the tail lost and the log no longer has are reported as a gap', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { isLagging: true, retention: { user: 1 } })
  const { sink } = open()
  await answerAll(log)
  for (const data of ['1', '2', '3']) await hub.send('alice', { data })
  log.loseConnection()
  await answerAll(log)
  t.same(namesOf(sink), ['hub.welcome', 'hub.gap', '3'])
})

t.test('open streams get a reset when the log returns empty, and then its new events', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t, { isLagging: true })
  const { sink } = open()
  await answerAll(log)
  for (const data of ['1', '2', '3']) await hub.send('alice', { data })
  log.dispatch()
  await settle()
  await log.replace(memoryLog(clock))
  await hub.send('alice', { data: 'new 1' })
  log.dispatch()
  await answerAll(log)
  await hub.send('alice', { data: 'new 2' })
  log.dispatch()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', '1', '2', '3', 'hub.gap', 'new 1', 'new 2'])
  t.equal(JSON.parse(sink.events[4]?.data ?? '').reason, 'reset')
})

t.test('an answer from an old epoch that arrives in the new one hides none of its events', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t, { isLagging: true, evaluatesLate: false })
  for (const data of ['1', '2', '3', '4', '5']) await hub.send('alice', { data })
  log.dispatch()
  const { sink } = open({ from: 'oldest' })
  await settle()
  t.equal(log.waiting, 1)
  await log.replace(memoryLog(clock))
  log.dispatch()
  log.answer(1)
  await settle()
  for (const data of ['new 1', 'new 2']) await hub.send('alice', { data })
  log.dispatch()
  await answerAll(log)
  t.same(namesOf(sink).slice(1), ['1', '2', '3', '4', '5', 'hub.gap', 'new 1', 'new 2'])
})

t.test('a gap of the new epoch is reported, even if its numbers are below those of an old gap', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t, { isLagging: true, isSlow: false, retention: { user: 1 } })
  const { id } = await hub.send('alice', { data: '1' })
  for (const data of ['2', '3', '4', '5', '6', '7', '8']) await hub.send('alice', { data })
  const { sink } = open({ lastEventId: id as string })
  log.dispatch()
  await settle()
  await log.replace(memoryLog(clock, { user: 1 }))
  log.dispatch()
  await hub.send('alice', { data: 'new 1' })
  log.dispatch()
  await settle()
  sink.room = 0
  for (const data of ['new 2', 'new 3', 'new 4']) {
    await hub.send('alice', { data })
    log.dispatch()
    await settle()
  }
  sink.drain()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'hub.gap', '8', 'hub.gap', 'new 1', 'new 2', 'hub.gap', 'new 4'])
})

t.test('a heartbeat does not return a stream to the old epoch while the tail is still in it', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t, { isLagging: true, isSlow: false })
  await hub.send('bob', { data: 'old 1' })
  await hub.send('bob', { data: 'old 2' })
  log.dispatch()
  await log.replace(memoryLog(clock))
  const { id } = await hub.send('alice', { data: 'new 1' })
  await hub.send('bob', { data: 'new 2' })
  const { sink } = open({ from: 'oldest' })
  await settle()
  clock.advance(31_000)
  t.equal(sink.parser.lastEventId, id)
})

t.test('a failed lookup of the end of a task is retried', async (t) => {
  const { hub, clock, open, log } = await startSlowHub(t)
  const { id } = await hub.publish('tasks/1', { data: '1', final: true })
  const { sink } = open({ user: null, topics: ['tasks/1'], follows: true, lastEventId: id as string })
  await settle()
  log.answer(1)
  log.failingReads = 1
  await settle()
  t.notOk(sink.isEnded)
  clock.advance(1_100)
  await answerAll(log)
  t.match(sink.events.at(-1), { event: 'hub.close', data: /finished/ })
})

t.test('an append that fails is an error for its publisher, and reaches no stream', async (t) => {
  const { hub, open, log } = await startSlowHub(t)
  const { sink } = open()
  await answerAll(log)
  log.failingAppend = 'before'
  await t.rejects(hub.send('alice', { data: '1' }), { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', statusCode: 503 })
  await hub.send('alice', { data: '2' })
  await settle()
  t.same(textOf(sink), ['2'])
  t.equal(hub.stats().published, 1)
})

t.test(
  'a publisher without a receipt retries with the same idempotency key, and the event is stored once',
  async (t) => {
    const { hub, open, log } = await startSlowHub(t)
    const { sink } = open()
    await answerAll(log)
    log.failingAppend = 'after'
    const draft = { data: 'once', idempotencyKey: 'key' }
    await t.rejects(hub.send('alice', draft), { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE' })
    const { id } = await hub.send('alice', draft)
    await settle()
    t.match(sink.published, [{ data: 'once', id }])
    t.equal(sink.published.length, 1)
  }
)
