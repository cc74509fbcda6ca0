import t from 'tap'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { answerAll, startSlowHub } from '../support/slow-hub.ts'
import { startHub } from '../support/test-hub.ts'

const namesOf = (sink: FakeSink) => sink.events.map(({ event, data }) => (event === 'message' ? data : event))
const welcomeOf = (sink: FakeSink) => JSON.parse(sink.events[0]?.data ?? 'null')

t.test('events sent in the listener of "open" arrive after the welcome, in order, transient or not', async (t) => {
  const { hub, open } = await startHub(t)
  const receipts: Promise<{ streams: number }>[] = []
  hub.on('open', () => {
    receipts.push(hub.send('alice', { data: 'T1', transient: true }))
    receipts.push(hub.send('alice', { data: 'E1' }))
    receipts.push(hub.send('alice', { data: 'T2', transient: true }))
    receipts.push(hub.send('alice', { data: 'T3', transient: true }))
    receipts.push(hub.send('alice', { data: 'E2' }))
  })
  const { sink } = open()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'T1', 'E1', 'T2', 'T3', 'E2'])
  t.match(welcomeOf(sink), { resumed: false, replayed: 0 })
  t.same(
    (await Promise.all(receipts)).map(({ streams }) => streams),
    [1, 1, 1, 1, 1]
  )
})

t.test('events sent to a stream that has just opened arrive after its replay', async (t) => {
  const { hub, open } = await startHub(t)
  for (const data of ['old 1', 'old 2']) await hub.send('alice', { data })
  const { sink } = open({ from: 'oldest' })
  await hub.send('alice', { data: 'T1', transient: true })
  await hub.broadcast({ data: 'E1' })
  await hub.broadcast({ data: 'T2', transient: true })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'old 1', 'old 2', 'T1', 'E1', 'T2'])
  t.equal(welcomeOf(sink).replayed, 2)
})

t.test('a transient event for several channels of an opening stream arrives once', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open({ topics: ['a', 'b'] })
  const [receipt] = await hub.publishBatch([
    { to: { users: ['alice'], topics: ['a', 'b'], everyone: true }, data: 'T', transient: true }
  ])
  await settle()
  t.equal(receipt?.streams, 1)
  t.same(namesOf(sink), ['hub.welcome', 'T'])
})

for (const evaluatesLate of [true, false]) {
  const when = evaluatesLate ? 'and answers late' : 'and has read before'

  t.test(`a stream that waits for its log, ${when}, gets each event once and in order`, async (t) => {
    const { hub, open, log } = await startSlowHub(t, { evaluatesLate })
    await hub.send('alice', { data: 'old' })
    const { sink } = open({ from: 'oldest' })
    await settle()
    await hub.send('alice', { data: 'T1', transient: true })
    await hub.send('alice', { data: 'E1' })
    await hub.send('alice', { data: 'T2', transient: true })
    await answerAll(log)
    await hub.send('alice', { data: 'T3', transient: true })
    await answerAll(log)
    t.same(namesOf(sink), ['hub.welcome', 'old', 'T1', 'E1', 'T2', 'T3'])
    t.equal(welcomeOf(sink).replayed, 1)
  })
}

t.test('a replay of many pages under backpressure keeps new events until their turn', async (t) => {
  const { hub, open } = await startHub(t)
  const old = Array.from({ length: 300 }, (_, at) => `old ${at}`)
  for (const data of old) await hub.send('alice', { data })
  const sink = new FakeSink()
  sink.room = 200
  open({ from: 'oldest' }, sink)
  const receipts = [await hub.send('alice', { data: 'T1', transient: true })]
  await hub.send('alice', { data: 'E1' })
  await settle()
  receipts.push(await hub.send('alice', { data: 'T2', transient: true }))
  t.same(
    receipts.map(({ streams }) => streams),
    [1, 1]
  )
  for (let round = 0; round < 200; round++) {
    sink.drain(1_000)
    await settle(2)
  }
  t.same(namesOf(sink), ['hub.welcome', ...old, 'T1', 'E1', 'T2'])
  t.equal(welcomeOf(sink).replayed, 300)
})

t.test('a receipt never counts a stream that will not get the transient event', async (t) => {
  const { hub, open } = await startHub(t)
  const slow = open({ user: 'slow' })
  const live = open({ user: 'live' })
  await settle()
  slow.sink.room = 0
  await hub.broadcast({ data: 'fills it' })
  await settle()
  t.equal((await hub.broadcast({ data: 'T', transient: true })).streams, 1)
  t.equal((await hub.send('slow', { data: 'T', transient: true })).streams, 0)
  t.equal((await hub.send('slow', { data: 'E' })).streams, 1, 'the stream reads an event of the log later')
  await settle()
  t.same(namesOf(live.sink), ['hub.welcome', 'fills it', 'T'])
  slow.sink.drain()
  await settle()
  t.same(namesOf(slow.sink), ['hub.welcome', 'fills it', 'E'])
})

t.test(
  'the transient events kept for an opening stream are bounded, and receipts do not count dropped ones',
  async (t) => {
    const { hub, open } = await startHub(t)
    const sink = new FakeSink()
    sink.room = 0
    await hub.send('alice', { data: 'old' })
    open({ from: 'oldest' }, sink)
    await settle()
    let counted = 0
    for (let at = 0; at < 100; at++) {
      const { streams } = await hub.send('alice', { data: `${at} ${'x'.repeat(4_000)}`, transient: true })
      counted += streams
    }
    sink.drain()
    await settle()
    t.ok(counted > 20 && counted < 40, `${counted} were counted`)
    t.equal(sink.published.length, counted + 1)
  }
)

t.test('events sent to a stream that follows a topic arrive after its replay, transient ones too', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.publish('task', { data: 'old' })
  hub.on('open', () => {
    void hub.publish('task', { data: 'T1', transient: true })
    void hub.publish('task', { data: 'E1' })
  })
  const { sink } = open({ user: null, topics: ['task'], follows: true, from: 'oldest' })
  t.equal((await hub.publish('task', { data: 'T2', transient: true })).streams, 1)
  t.equal((await hub.broadcast({ data: 'not followed', transient: true })).streams, 0)
  await hub.publish('task', { data: 'end', final: true })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'old', 'T1', 'E1', 'T2', 'end', 'hub.close'])
})

t.test('a receipt counts no stream that was closed or replaced in the same turn', async (t) => {
  const { hub, open } = await startHub(t, { maxStreamsPerUser: 1 })
  const first = open()
  hub.manager.admission.admit('alice', '')
  const second = open()
  const counts = [hub.send('alice', { data: 'T', transient: true }), hub.send('alice', { data: 'E' })]
  second.stream.close()
  counts.push(hub.send('alice', { data: 'T', transient: true }), hub.send('alice', { data: 'E' }))
  t.same(
    (await Promise.all(counts)).map(({ streams }) => streams),
    [1, 1, 0, 0]
  )
  await settle()
  t.same(namesOf(first.sink), ['hub.close'])
  t.equal(first.sink.isEnded, true)
})
