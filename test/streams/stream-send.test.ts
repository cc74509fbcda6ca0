import t from 'tap'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { Random } from '../support/random.ts'
import { answerAll, startSlowHub } from '../support/slow-hub.ts'
import { startHub } from '../support/test-hub.ts'

const namesOf = (sink: FakeSink) => sink.events.map(({ event, data }) => (event === 'message' ? data : event))

t.test('send() reaches one stream, without an id, and no history has the event', async (t) => {
  const { hub, open } = await startHub(t)
  const mine = open()
  const other = open()
  await settle()
  t.equal(await mine.stream.send({ event: 'note', data: { a: 1 } }), true)
  t.same(mine.sink.published, [{ event: 'note', data: '{"a":1}', lastEventId: mine.sink.parser.lastEventId }])
  t.notMatch(String(mine.sink.writes.at(-1)), /^id:/m)
  t.same(other.sink.published, [])
  t.same((await hub.history({ user: 'alice' })).events, [])
})

t.test('send() checks events as other calls do, and refuses properties that need an id or a history', async (t) => {
  const { open } = await startHub(t, { maxEventBytes: 100 })
  const { stream, sink } = open()
  await settle()
  const refused: [unknown, string][] = [
    [undefined, 'SSE_HUB_ERR_INVALID_DRAFT'],
    [{ data: undefined }, 'SSE_HUB_ERR_INVALID_DATA'],
    [{ data: 'x'.repeat(101) }, 'SSE_HUB_ERR_EVENT_TOO_LARGE'],
    [{ event: 'hub.close', data: 1 }, 'SSE_HUB_ERR_RESERVED_EVENT_NAME'],
    [{ event: 'a\nb', data: 1 }, 'SSE_HUB_ERR_INVALID_EVENT_NAME'],
    ...['ttl', 'collapseKey', 'idempotencyKey', 'final', 'transient', 'inbox', 'datta'].map(
      (name): [unknown, string] => [{ data: 1, [name]: 1 }, 'SSE_HUB_ERR_INVALID_DRAFT']
    )
  ]
  for (const [draft, code] of refused) await t.rejects(stream.send(draft as { data: unknown }), { code })
  await t.rejects(stream.send({ data: 1, ttl: 5 } as { data: unknown }), { message: /no "ttl"; it has data, event/ })
  t.same(namesOf(sink), ['hub.welcome'])
})

t.test('send() keeps the order of all that the stream was assigned before and after', async (t) => {
  const { hub, open } = await startHub(t)
  const { stream, sink } = open()
  void stream.send({ data: 'S0' })
  await hub.send('alice', { data: 'E1' })
  void stream.send({ data: 'S1' })
  await hub.send('alice', { data: 'T1', transient: true })
  void stream.send({ data: 'S2' })
  await settle()
  void hub.send('alice', { data: 'E2' })
  void stream.send({ data: 'S3' })
  void hub.send('alice', { data: 'T2', transient: true })
  await stream.send({ data: 'S4' })
  await hub.send('alice', { data: 'E3' })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'S0', 'E1', 'S1', 'T1', 'S2', 'E2', 'S3', 'T2', 'S4', 'E3'])
})

t.test('send() in the listener of "open" arrives after the welcome and the replay of a slow log', async (t) => {
  const { hub, open, log } = await startSlowHub(t, { evaluatesLate: true })
  for (let at = 0; at < 200; at++) await hub.send('alice', { data: `old ${at}` })
  const sent: Promise<boolean>[] = []
  hub.on('open', (stream) => sent.push(stream.send({ data: 'S1' })))
  const { sink } = open({ from: 'oldest' })
  await settle()
  log.answer()
  await hub.send('alice', { data: 'E1' })
  await answerAll(log)
  t.same(namesOf(sink), ['hub.welcome', ...Array.from({ length: 200 }, (_, at) => `old ${at}`), 'S1', 'E1'])
  t.same(await Promise.all(sent), [true])
})

t.test('send() to a backpressured stream waits for its turn among the events of the log', async (t) => {
  const { hub, open } = await startHub(t)
  const { stream, sink } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: 'E1' })
  await settle()
  const sent = [stream.send({ data: 'S1' })]
  await hub.send('alice', { data: 'E2' })
  sent.push(stream.send({ data: 'S2' }))
  await hub.send('alice', { data: 'E3' })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'E1'])
  sink.drain()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'E1', 'S1', 'E2', 'S2', 'E3'])
  t.same(await Promise.all(sent), [true, true])
})

t.test('send() resolves when the socket can take more, so that a loop keeps the pace of the client', async (t) => {
  const { open } = await startHub(t)
  const { stream, sink } = open()
  await settle()
  sink.room = 0
  let isTaken = false
  const sending = stream.send({ data: 'S1' }).then((taken) => {
    isTaken = taken
  })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'S1'])
  t.notOk(isTaken)
  sink.drain()
  await sending
  t.ok(isTaken)
})

t.test('send() to a stream that closes resolves with false', async (t) => {
  const { open } = await startHub(t)
  const { stream, sink } = open()
  await settle()
  sink.room = 0
  const sent = [stream.send({ data: 'written' }), stream.send({ data: 'kept' })]
  sink.disconnect()
  t.same(await Promise.all([...sent, stream.send({ data: 'late' })]), [false, false, false])
})

t.test('a caller that ignores the promises of send() costs bounded memory, and closes the stream', async (t) => {
  const { hub, open } = await startHub(t)
  const { stream, sink } = open()
  await settle()
  sink.room = 0
  const sent: Promise<boolean>[] = []
  for (let at = 0; at < 1_000; at++) sent.push(stream.send({ data: `${at} ${'x'.repeat(1_000)}` }))
  t.equal(stream.isClosed, true)
  t.equal(hub.stats().closed.slow, 1)
  t.ok((await Promise.all(sent)).every((isTaken) => !isTaken))
  t.ok(Buffer.concat(sink.writes).length < 200_000)
  t.match(sink.events.at(-1), { event: 'hub.close', data: '{"reason":"slow","reconnect":true}' })
})

t.test('a client that takes a little at a time leaves no promise of send() behind', async (t) => {
  const { open } = await startHub(t)
  const { stream, sink } = open()
  await settle()
  sink.room = 0
  let taken = 0
  for (let at = 0; at < 500; at++) {
    void stream.send({ data: `${at}` }).then(() => taken++)
    if (at % 10 === 9) sink.drain(0)
    await settle(1)
    t.ok(at - taken <= 25, `${at - taken} promises wait`)
  }
  sink.drain()
  await settle()
  t.equal(taken, 500)
  t.same(
    sink.published.map(({ data }) => data),
    Array.from({ length: 500 }, (_, at) => `${at}`)
  )
})

t.test('a fed stream takes events of send() between those of its producer', async (t) => {
  const { open } = await startHub(t)
  const { stream, sink } = open({ user: null, follows: true, topics: [] })
  const early = stream.send({ data: 'early' })
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'early'])
  t.equal(await early, true)
})

t.test('random sequences of events, transient events and send() arrive in the order of the calls', async (t) => {
  const first = Number(process.env.TEST_SEED ?? 1)
  for (let seed = first; seed < first + 60; seed++) {
    const random = new Random(seed)
    const { hub, open, log } = await startSlowHub(t, { evaluatesLate: random.chance(0.5), isSlow: random.chance(0.6) })
    for (let at = 0; at < random.from(0, 200); at++) await hub.send('alice', { data: `old ${at}` })
    const sink = new FakeSink()
    if (random.chance(0.5)) sink.room = random.from(0, 2_000)
    const { stream } = open({ from: 'oldest' }, sink)
    const expected: string[] = []
    for (let step = 0; step < 60; step++) {
      const kind = random.weighted({ event: 4, transient: 2, send: 4, stall: 1, drain: 3, answer: 3, turn: 4 })
      const data = `${step}`
      if (kind === 'event') {
        expected.push(data)
        await hub.send('alice', { data })
      } else if (kind === 'transient') {
        const { streams } = await hub.send('alice', { data, transient: true })
        if (streams === 1) expected.push(data)
      } else if (kind === 'send') {
        expected.push(data)
        void stream.send({ data })
      } else if (kind === 'stall') sink.room = Math.min(sink.room, random.from(0, 500))
      else if (kind === 'drain') sink.drain(random.pick([0, 100, 5_000, Number.POSITIVE_INFINITY]))
      else if (kind === 'answer') log.answer()
      else await settle(random.from(1, 3))
    }
    for (let round = 0; round < 30; round++) {
      sink.drain()
      await answerAll(log)
    }
    const received = sink.published.map(({ data }) => data).filter((data) => !data.startsWith('old'))
    t.same(received, expected, `seed ${seed}`)
    await hub.dispose()
    if (!t.passing()) return
  }
})
