import t from 'tap'
import { parseCursor } from '../../services/events/cursor.ts'
import type { WireBytes } from '../../services/events/wire-bytes.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const SOME_ROOM = 1_000
/** Room for the reconnection time, but not for the welcome. */
const ROOM_TO_BEGIN = 20

/** Records the objects that were written. */
class SharingSink extends FakeSink {
  readonly given: WireBytes[] = []

  override write(bytes: WireBytes): boolean {
    this.given.push(bytes)
    return super.write(bytes)
  }
}

function textOf(sink: FakeSink): string[] {
  return sink.published.map(({ data }) => data)
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index))
}

function namesOf(sink: FakeSink): string[] {
  return sink.events.map(({ event, data }) => (event === 'message' ? data : event))
}

function seqOf(id: string | undefined): number {
  return parseCursor(id ?? '')?.seq ?? -1
}

t.test('a stream sends its reconnection time once, in its welcome, in the turn in which it is opened', async (t) => {
  const { open } = await startHub(t, { reconnectionTime: 2_000 })
  const { sink } = open()
  await settle(1)
  t.match(String(sink.writes[0]), /^event: hub\.welcome\ndata: .*\nretry: \d+\nid: .*\n\n$/)
  t.ok((sink.parser.reconnectionTime ?? 0) >= 1_000 && (sink.parser.reconnectionTime ?? 0) < 3_000)
  t.equal(String(Buffer.concat(sink.writes)).match(/^retry/gm)?.length, 1)
})

t.test('the welcome carries the user, the online counts, the heartbeat interval and the cursor', async (t) => {
  const { hub, open } = await startHub(t, { heartbeatInterval: 15_000 })
  await hub.broadcast({ data: 'before' })
  open({ user: 'bob' })
  const { sink, stream } = open()
  await settle()
  const [welcome] = sink.events
  t.equal(welcome?.event, 'hub.welcome')
  t.same(JSON.parse(welcome?.data ?? ''), {
    stream: stream.id,
    user: 'alice',
    topics: [],
    online: { users: 2, streams: 2 },
    heartbeatInterval: 15_000,
    resumed: false,
    replayed: 0
  })
  t.equal(welcome?.id, hub.cursor())
})

t.test('a hub with `welcome: false` sends no welcome', async (t) => {
  const { hub, open } = await startHub(t, { welcome: false })
  const { sink } = open()
  await settle()
  await hub.broadcast({ data: '1' })
  await settle()
  t.same(
    sink.events.map(({ event }) => event),
    ['message']
  )
})

t.test('a client that is cut right after the welcome resumes with the events that it missed', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.send('alice', { data: 'before' })
  const first = open()
  await settle()
  first.sink.disconnect()
  await hub.send('alice', { data: 'meanwhile' })
  const second = open({ lastEventId: first.sink.parser.lastEventId })
  await settle()
  t.same(textOf(second.sink), ['meanwhile'])
  t.match(JSON.parse(second.sink.events[0]?.data ?? ''), { resumed: true, replayed: 1 })
})

t.test('the welcome before history carries the last event ID of the client, or no id', async (t) => {
  const { hub, open } = await startHub(t)
  const { id } = await hub.send('alice', { data: '1' })
  await hub.send('alice', { data: '2' })
  const resumed = open({ lastEventId: id as string })
  const fresh = open({ from: 'oldest' })
  await settle()
  t.equal(resumed.sink.events[0]?.id, id)
  t.equal(fresh.sink.events[0]?.id, undefined)
  t.same(textOf(fresh.sink), ['1', '2'])
})

t.test('an event that is published in the turn in which a stream is opened reaches it', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.send('alice', { data: 'before' })
  const { sink } = open()
  const { streams } = await hub.send('alice', { data: 'at once' })
  await settle()
  t.equal(streams, 1)
  t.same(textOf(sink), ['at once'])
})

t.test('a stream that begins with its newest event gets all events that come while it is opening', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.send('alice', { data: 'old' })
  const { sink } = open({ last: 1 })
  for (const data of ['1', '2', '3']) await hub.send('alice', { data })
  await settle()
  t.same(textOf(sink).slice(-3), ['1', '2', '3'])
})

t.test('a stream that is backpressured from its first byte gets all events that come until it drains', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.send('alice', { data: 'old' })
  for (const opening of [{}, { last: 1 }, { from: 'oldest' as const }]) {
    const sink = new FakeSink()
    sink.room = 0
    open(opening, sink)
    await settle()
    for (const data of ['1', '2', '3']) await hub.send('alice', { data })
    sink.drain()
    await settle()
    t.same(textOf(sink).slice(-3), ['1', '2', '3'], JSON.stringify(opening))
  }
})

t.test('events that retention evicted before the first read are reported as a gap', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 1 } })
  const sink = new FakeSink()
  sink.room = 0
  open({ from: 'oldest' }, sink)
  await settle()
  await hub.send('alice', { data: '1' })
  await hub.send('alice', { data: '2' })
  sink.drain()
  await settle()
  t.same(
    sink.events.map(({ event }) => event).filter((event) => event !== 'hub.welcome'),
    ['hub.gap', 'message']
  )
})

t.test('a stream that asks for the retained events gets no gap for events evicted before its opening', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 2 } })
  for (const data of numbers(1, 5)) await hub.send('alice', { data })
  for (const opening of [{ from: 'oldest' as const }, { last: 20 }, {}]) {
    const { sink } = open(opening)
    await settle()
    t.notOk(sink.events.some(({ event }) => event === 'hub.gap'))
  }
})

t.test('a stream without a cursor gets a gap report once, and again if the gap widens', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 2 } })
  for (const widens of [false, true]) {
    const sink = new FakeSink()
    sink.room = ROOM_TO_BEGIN
    open({ from: 'oldest' }, sink)
    for (const data of numbers(1, 4)) await hub.send('alice', { data })
    await settle()
    if (widens) await hub.send('alice', { data: '5' })
    sink.drain()
    await settle()
    const rest = widens ? ['hub.gap', '4', '5'] : ['3', '4']
    t.same(namesOf(sink), ['hub.welcome', 'hub.gap', ...rest])
  }
})

t.test('a gap that widens before any later event is reported again', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 5 } })
  const ids: string[] = []
  for (const data of numbers(1, 9)) ids.push((await hub.send('alice', { data })).id as string)
  const sink = new FakeSink()
  sink.room = ROOM_TO_BEGIN
  open({ lastEventId: ids[1] as string }, sink)
  await settle()
  for (const data of ['10', '11']) await hub.send('alice', { data })
  sink.drain()
  await settle()
  t.same(namesOf(sink), ['hub.welcome', 'hub.gap', 'hub.gap', ...numbers(7, 11)])
})

t.test(
  'a gap is reported once, before the first event and without an id, while the socket is backpressured',
  async (t) => {
    const { hub, open } = await startHub(t)
    await hub.send('alice', { data: '1' })
    for (const lastEventId of ['5.otherlife00000', 'zzz.0000000000000a', 'no cursor at all']) {
      const sink = new FakeSink()
      sink.room = ROOM_TO_BEGIN
      open({ lastEventId, from: 'oldest' }, sink)
      await settle()
      sink.drain()
      await settle()
      t.same(
        sink.events.map(({ event }) => event),
        ['hub.welcome', 'hub.gap', 'message'],
        lastEventId
      )
      t.equal(sink.events[0]?.id, undefined, 'the welcome has no id')
      t.equal(sink.events[1]?.id, undefined, 'the gap has no id')
    }
  }
)

t.test('a gap report carries the reason, the cursor of the client, and the oldest event that remains', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 2 } })
  const ids: (string | null)[] = []
  for (const data of numbers(1, 5)) ids.push((await hub.send('alice', { data })).id)
  const { sink } = open({ lastEventId: ids[0] as string })
  await settle()
  const [welcome, gap, ...events] = sink.events
  t.match(JSON.parse(welcome?.data ?? ''), { resumed: false, replayed: 2 })
  t.equal(gap?.event, 'hub.gap')
  t.same(JSON.parse(gap?.data ?? ''), { from: ids[0], oldest: ids[3], reason: 'evicted' })
  t.same(
    events.map(({ id }) => id),
    [ids[3], ids[4]]
  )
})

t.test('a gap report without later events carries the id of the head', async (t) => {
  const { hub, clock, open } = await startHub(t, { retention: { user: 5, age: 1_000 } })
  const { id } = await hub.send('alice', { data: '1' })
  await hub.send('alice', { data: '2' })
  clock.advance(1_000)
  const { sink } = open({ lastEventId: id as string })
  await settle()
  const gap = sink.events[1]
  t.same(JSON.parse(gap?.data ?? ''), { from: id, oldest: null, reason: 'evicted' })
  t.equal(gap?.id, hub.cursor())
})

t.test('missing events of other users are not reported as a gap', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 1 } })
  const { id } = await hub.send('alice', { data: 'mine' })
  for (const data of numbers(1, 9)) await hub.send('bob', { data })
  const { sink } = open({ lastEventId: id as string })
  await settle()
  t.same(
    sink.events.map(({ event }) => event),
    ['hub.welcome']
  )
})

t.test('events of one turn of the event loop leave in one write, in order', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open({ topics: ['news'] })
  await settle()
  const before = sink.writes.length
  hub.send('alice', { data: '1' })
  hub.broadcast({ data: '2' })
  hub.publish('news', { data: '3' })
  hub.send('alice', { data: '4', transient: true })
  await settle()
  t.equal(sink.writes.length, before + 1)
  t.same(textOf(sink), ['1', '2', '3', '4'])
})

t.test('streams with the same pending events are written the same bytes, one object for all', async (t) => {
  const { hub, open } = await startHub(t)
  const sinks = [new SharingSink(), new SharingSink(), new SharingSink()]
  sinks.forEach((sink, index) => {
    open({ user: `user ${index}` }, sink)
  })
  await settle()
  hub.broadcast({ data: '1' })
  hub.broadcast({ data: '2' })
  hub.broadcast({ data: '3' })
  await settle()
  const [first, second, third] = sinks.map((sink) => sink.given.at(-1))
  t.ok(first === second && second === third)
  t.same(
    sinks.map(textOf),
    [1, 2, 3].map(() => ['1', '2', '3'])
  )
})

t.test('streams with partly the same pending events each get their own, in order', async (t) => {
  const { hub, open } = await startHub(t)
  const users = ['alice', 'bob', 'carol', 'dave']
  const sinks = users.map((user) => open({ user }).sink)
  await settle()
  hub.broadcast({ data: 'all 1' })
  hub.send('bob', { data: 'bob' })
  hub.send(['carol', 'dave'], { data: 'two' })
  hub.broadcast({ data: 'all 2' })
  hub.send(['alice', 'bob'], { data: 'two others' })
  await settle()
  t.same(sinks.map(textOf), [
    ['all 1', 'all 2', 'two others'],
    ['all 1', 'bob', 'all 2', 'two others'],
    ['all 1', 'two', 'all 2'],
    ['all 1', 'two', 'all 2']
  ])
})

t.test('a backpressured socket gets none of 10,000 events, and all of them in order once it drains', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 20_000 } })
  const { sink, stream } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: '0' })
  await settle()
  t.ok(stream.isBackpressured)
  const before = sink.writes.length
  for (let at = 1; at <= 10_000; at++) {
    await hub.send('alice', { data: String(at) })
    if (at % 1_000 === 0) await settle()
  }
  t.equal(sink.writes.length, before)
  sink.drain()
  await settle(200)
  t.same(textOf(sink), numbers(0, 10_000))
})

t.test('a backpressured socket causes neither a read of the log nor a heartbeat', async (t) => {
  const { hub, clock, open } = await startHub(t, { heartbeatInterval: 1_000, stallTimeout: 0, retention: { user: 2 } })
  const { sink, stream } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: '1' })
  await settle()
  const { log } = hub.manager
  const read = log.read.bind(log)
  let reads = 0
  log.read = (query) => {
    reads++
    return read(query)
  }
  const before = sink.writes.length
  for (const data of numbers(2, 9)) {
    await hub.send('alice', { data })
    clock.advance(5_000)
    await settle()
  }
  stream.startReplay()
  await settle()
  t.equal(reads, 0)
  t.equal(sink.writes.length, before)
  sink.drain()
  await settle()
  t.same(namesOf(sink).slice(1), ['1', 'hub.gap', '8', '9'])
})

t.test('a live stream does not read the log', async (t) => {
  const { hub, open } = await startHub(t)
  const { log } = hub.manager
  const read = log.read.bind(log)
  let reads = 0
  log.read = (query) => {
    reads++
    return read(query)
  }
  const { sink } = open()
  await settle()
  for (let round = 0; round < 3; round++) {
    sink.room = 0
    for (const data of ['a', 'b', 'c']) {
      await hub.send('alice', { data: `${data}${round}` })
      await settle()
    }
    sink.drain()
    await settle()
    const before = reads
    await hub.send('alice', { data: `d${round}` })
    await settle()
    t.equal(reads, before, 'new events come from the tail')
  }
  t.equal(textOf(sink).length, 12)
  t.ok(reads >= 4 && reads <= 10, `${reads} reads`)
})

t.test(
  'a socket that takes a little at a time gets each event once, and no write while it is backpressured',
  async (t) => {
    const { hub, open } = await startHub(t)
    const { sink, stream } = open()
    await settle()
    sink.room = SOME_ROOM
    for (const data of numbers(1, 400)) await hub.send('alice', { data: data.padStart(200, ' ') })
    for (let turn = 0; textOf(sink).length < 400 && turn < 400; turn++) {
      await settle()
      if (!stream.isBackpressured) continue
      const before = sink.writes.length
      await hub.send('bob', { data: 'not for alice' })
      await settle()
      t.equal(sink.writes.length, before)
      sink.drain(SOME_ROOM)
    }
    t.same(
      textOf(sink).map((data) => data.trim()),
      numbers(1, 400)
    )
  }
)

t.test(
  'history is written in pieces, and a socket that is backpressured in the middle gets the rest later',
  async (t) => {
    const { hub, open } = await startHub(t)
    for (const data of numbers(1, 100)) await hub.send('alice', { data: data.padStart(10_000, ' ') })
    const sink = new FakeSink()
    sink.room = 200_000
    open({ from: 'oldest' }, sink)
    await settle()
    t.ok(textOf(sink).length < 40, `${textOf(sink).length} events were written`)
    sink.drain()
    await settle(20)
    t.same(
      textOf(sink).map((data) => data.trim()),
      numbers(1, 100)
    )
  }
)

t.test('a stream with many pending bytes reads them from the log instead', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  const before = sink.writes.length
  for (const data of numbers(1, 40)) hub.send('alice', { data: data.padStart(40_000, ' ') })
  await settle(40)
  t.same(
    textOf(sink).map((data) => data.trim()),
    numbers(1, 40)
  )
  t.ok(
    sink.writes.slice(before).every(({ length }) => length < 200_000),
    'it was not written in one'
  )
})

t.test('an event published in the middle of a long replay comes after all of history, once', async (t) => {
  const { hub, open } = await startHub(t)
  for (const data of numbers(1, 500)) await hub.send('alice', { data })
  const { sink } = open({ from: 'oldest' })
  await settle(1)
  t.ok(textOf(sink).length < 500)
  await hub.send('alice', { data: '501' })
  await settle(20)
  t.same(textOf(sink), numbers(1, 501))
})

t.test('a transient event has no id, and does not move the cursor', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  const { id } = await hub.send('alice', { data: 'kept' })
  t.equal((await hub.send('alice', { data: 'typing', transient: true })).id, null)
  await settle()
  t.match(sink.published, [
    { data: 'kept', id },
    { data: 'typing', id: undefined, lastEventId: id }
  ])
})

t.test('a backpressured stream loses a transient event and no other', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: '1' })
  await settle()
  await hub.send('alice', { data: 'typing', transient: true })
  await hub.send('alice', { data: '2' })
  await hub.send('alice', { data: 'typing', transient: true })
  sink.drain()
  await settle()
  t.same(textOf(sink), ['1', '2'])
})

t.test('a gap that opens during backpressure is reported after the drain, and no gap is reported twice', async (t) => {
  const { hub, open } = await startHub(t, { retention: { user: 3 } })
  const ids: string[] = []
  for (const data of numbers(1, 9)) ids.push((await hub.send('alice', { data })).id as string)
  const sink = new FakeSink()
  sink.room = ROOM_TO_BEGIN
  open({ lastEventId: ids[2] as string }, sink)
  await settle()
  sink.drain(10)
  await settle()
  sink.room = 0
  for (const data of numbers(10, 15)) await hub.send('alice', { data })
  await settle()
  sink.drain()
  await settle()
  const dispatched = sink.events.map(({ event, data }) => (event === 'message' ? data : event))
  t.same(dispatched, ['hub.welcome', 'hub.gap', '7', '8', '9', 'hub.gap', '13', '14', '15'])
  t.equal(seqOf(JSON.parse(sink.events[5]?.data ?? '').from), 9)
})
