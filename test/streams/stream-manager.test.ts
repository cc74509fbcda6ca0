import t from 'tap'
import { EVERYONE } from '../../services/events/channel.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const FAR = Date.UTC(2400, 0, 1)

function heartbeatsOf(sink: FakeSink) {
  return sink.events.filter(({ event }) => event === 'hub.heartbeat')
}

function endOf(sink: FakeSink): { reason: string; reconnect: boolean } | undefined {
  const last = sink.events.at(-1)
  return last?.event === 'hub.close' ? JSON.parse(last.data) : undefined
}

t.test(
  'a stream is closed before its maximum age, and streams that opened together do not close together',
  async (t) => {
    const { clock, open, hub } = await startHub(t, { maxStreamAge: 400_000 })
    const sinks = Array.from({ length: 300 }, () => open().sink)
    await settle()
    clock.advance(299_000)
    t.equal(hub.stats().streams, 300, 'no stream closes before three quarters of its maximum age')
    const left = Array.from({ length: 10 }, () => {
      clock.advance(10_100)
      return hub.stats().streams
    })
    t.equal(left.at(-1), 0)
    const max = Math.max(...left.map((streams, at) => (left[at - 1] ?? 300) - streams))
    t.ok(max < 60, `${max} of 300 at once; left were ${left}`)
    for (const sink of sinks) t.same(endOf(sink), { reason: 'expired', reconnect: true })
    t.equal(hub.stats().closed.expired, 300)
  }
)

t.test('a stream ends at its maximum age or at the expiry of its identity, whichever comes first', async (t) => {
  const { clock, open } = await startHub(t, { maxStreamAge: 400_000 })
  const early = open({ expiresAt: clock.now() + 100_000 }).sink
  const late = open({ expiresAt: clock.now() + 4_000_000 }).sink
  await settle()
  clock.advance(100_000)
  t.equal(endOf(early)?.reason, 'expired')
  t.equal(endOf(late), undefined)
  clock.advance(300_000)
  t.equal(endOf(late)?.reason, 'expired')
})

t.test('the maximum age ends streams that follow a topic, and not those that a producer feeds', async (t) => {
  const { clock, open } = await startHub(t, { maxStreamAge: 1_000 })
  const task = open({ user: null, topics: ['task'], follows: true }).sink
  const fed = open({ user: null, topics: [], follows: true }).sink
  await settle()
  clock.advance(2_000)
  t.equal(endOf(task)?.reason, 'expired')
  t.equal(endOf(fed), undefined)
})

t.test('without a maximum age no stream is closed for its age', async (t) => {
  const { clock, open } = await startHub(t, { heartbeatInterval: 0 })
  const { sink } = open()
  await settle()
  clock.advance(3_600_000)
  t.equal(endOf(sink), undefined)
})

t.test('a silent stream gets a heartbeat within each interval', async (t) => {
  const { clock, open } = await startHub(t, { heartbeatInterval: 15_000 })
  const { sink } = open()
  await settle()
  for (let interval = 1; interval <= 5; interval++) {
    clock.advance(15_250)
    t.ok(heartbeatsOf(sink).length >= interval, `${heartbeatsOf(sink).length} after ${interval} intervals`)
  }
  t.ok(heartbeatsOf(sink).length <= 8)
})

t.test('a heartbeat is a named event with empty data', async (t) => {
  const { clock, open } = await startHub(t, { heartbeatInterval: 1_000 })
  const { sink } = open()
  await settle()
  clock.advance(1_100)
  t.match(heartbeatsOf(sink)[0], { event: 'hub.heartbeat', data: '' })
})

t.test(
  'a heartbeat moves the cursor of a quiet user past events for others, so that it stays in retained history',
  async (t) => {
    const { hub, clock, open } = await startHub(t, { heartbeatInterval: 1_000, retention: { everyone: 1, user: 1 } })
    await hub.send('bob', { data: 'before' })
    const { sink } = open()
    await settle()
    clock.advance(1_100)
    t.equal(heartbeatsOf(sink).at(-1)?.id, undefined, 'the welcome has carried the cursor of the user')
    const { id } = await hub.send('bob', { data: 'for another user' })
    clock.advance(1_100)
    t.equal(sink.parser.lastEventId, id)
    clock.advance(3_300)
    t.equal(heartbeatsOf(sink).filter((heartbeat) => heartbeat.id === id).length, 1, 'the id is sent once')
  }
)

t.test('the heartbeat of a replaying stream does not carry the id of events that it has not received', async (t) => {
  const { hub, clock, open } = await startHub(t, { heartbeatInterval: 1_000 })
  const { sink } = open()
  await settle()
  const before = sink.parser.lastEventId
  sink.room = 0
  hub.send('alice', { data: '1' })
  clock.advance(1_100)
  t.equal(sink.parser.lastEventId, before, 'pending, and not flushed yet')
  await settle()
  const given = sink.parser.lastEventId
  await hub.send('alice', { data: '2' })
  clock.advance(5_000)
  t.equal(sink.parser.lastEventId, given, 'full')
})

t.test('a stream that is written to gets no heartbeat', async (t) => {
  const { hub, clock, open } = await startHub(t, { heartbeatInterval: 15_000 })
  const { sink } = open()
  await settle()
  for (let second = 0; second < 60; second += 5) {
    clock.advance(5_000)
    await hub.send('alice', { data: String(second) })
    await settle()
  }
  t.equal(heartbeatsOf(sink).length, 0)
})

t.test('heartbeats of streams with simultaneous writes are spread', async (t) => {
  const { hub, clock, open } = await startHub(t, { heartbeatInterval: 15_000 })
  const sinks = Array.from({ length: 300 }, (_, at) => open({ user: `user ${at}` }).sink)
  await hub.broadcast({ data: '1' })
  await settle()
  let max = 0
  for (let before = 0, step = 0; step < 62; step++) {
    clock.advance(250)
    const heartbeats = sinks.reduce((sum, sink) => sum + heartbeatsOf(sink).length, 0)
    max = Math.max(max, heartbeats - before)
    before = heartbeats
  }
  t.ok(sinks.every((sink) => heartbeatsOf(sink).length >= 1))
  t.ok(max < 75, `${max} at once`)
})

t.test('without heartbeats the other maintenance of streams goes on', async (t) => {
  const { clock, open } = await startHub(t, { heartbeatInterval: 0 })
  const { sink } = open({ expiresAt: clock.now() + 60_000 })
  await settle()
  clock.advance(59_000)
  t.equal(heartbeatsOf(sink).length, 0)
  clock.advance(1_000)
  t.equal(endOf(sink)?.reason, 'expired')
})

t.test('one timer serves all streams, and none runs without them', async (t) => {
  const { clock, open } = await startHub(t)
  t.equal(clock.timers, 0)
  const sinks = Array.from({ length: 50 }, () => open().sink)
  t.equal(clock.timers, 1)
  for (const sink of sinks) sink.disconnect()
  t.equal(clock.timers, 0)
  open()
  t.equal(clock.timers, 1)
})

for (const heartbeatInterval of [0, 1_000, 15_000, 600_000, 86_400_000]) {
  t.test(
    `a stream is closed in time when its identity expires, with heartbeats every ${heartbeatInterval} ms`,
    async (t) => {
      const { clock, open } = await startHub(t, { heartbeatInterval, stallTimeout: 0 })
      const { sink } = open({ expiresAt: clock.now() + 9_900 })
      await settle()
      clock.advance(9_300)
      t.notOk(sink.isEnded)
      clock.advance(600)
      t.same(endOf(sink), { reason: 'expired', reconnect: true })
    }
  )

  t.test(`a client that takes nothing is closed in time, with heartbeats every ${heartbeatInterval} ms`, async (t) => {
    const { hub, clock, open } = await startHub(t, { heartbeatInterval, stallTimeout: 10_000 })
    const { sink } = open()
    await settle()
    sink.room = 0
    await hub.send('alice', { data: '1' })
    await settle()
    clock.advance(9_700)
    t.notOk(sink.isEnded)
    clock.advance(600)
    t.same(endOf(sink), { reason: 'slow', reconnect: true })
    t.equal(hub.stats().closed.slow, 1)
  })
}

t.test(
  'streams whose identities expire together are closed one after another, within the half minute before',
  async (t) => {
    const { clock, open } = await startHub(t, { heartbeatInterval: 0, maxStreamsPerUser: 0 })
    const expiresAt = clock.now() + 3_600_000
    const sinks = Array.from({ length: 300 }, () => open({ expiresAt }).sink)
    await settle()
    clock.advance(3_600_000 - 32_000)
    t.ok(sinks.every((sink) => !sink.isEnded))
    const ended: number[] = []
    while (clock.now() < expiresAt) {
      clock.advance(1_000)
      ended.push(sinks.filter((sink) => sink.isEnded).length)
    }
    t.equal(ended.at(-1), 300, 'none outlives its identity')
    const max = Math.max(...ended.map((count, second) => count - (ended[second - 1] ?? 0)))
    t.ok(max < 40, `at most ${max} in a second`)
  }
)

t.test('a far expiry does not overflow, nor does an infinite one', async (t) => {
  const { clock, open } = await startHub(t)
  const sinks = [FAR, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY].map((expiresAt) => open({ expiresAt }).sink)
  await settle()
  clock.advance(86_400_000)
  t.ok(sinks.every((sink) => !sink.isEnded))
})

t.test('a wall clock that is set ahead ends the streams whose identities it expires', async (t) => {
  const { clock, open } = await startHub(t)
  const { sink } = open({ expiresAt: clock.now() + 3_600_000 })
  await settle()
  clock.wall += 3_600_000
  clock.advance(300)
  t.equal(endOf(sink)?.reason, 'expired')
})

t.test(
  'a wall clock that is set back keeps no stream open beyond the remaining lifetime of its identity',
  async (t) => {
    const { clock, open } = await startHub(t)
    const { sink } = open({ expiresAt: clock.now() + 60_000 })
    await settle()
    clock.wall -= 3_600_000
    clock.advance(50_000)
    t.notOk(sink.isEnded)
    clock.advance(10_000)
    t.equal(endOf(sink)?.reason, 'expired')
  }
)

for (const [how, jump] of [
  ['ahead', 3_600_000],
  ['back', -3_600_000]
] as const) {
  t.test(`a wall clock that is set ${how} changes the age of no stream`, async (t) => {
    const { clock, open } = await startHub(t, { maxStreamAge: 400_000 })
    const { sink } = open()
    await settle()
    clock.wall += jump
    clock.advance(290_000)
    t.notOk(sink.isEnded, 'not too early')
    clock.advance(110_500)
    t.equal(endOf(sink)?.reason, 'expired', 'and not later')
  })
}

t.test('a client that takes a little now and then is not closed', async (t) => {
  const { hub, clock, open } = await startHub(t, { stallTimeout: 10_000, heartbeatInterval: 0 })
  const { sink } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: ' '.repeat(10_000) })
  await settle()
  for (let at = 0; at < 10; at++) {
    clock.advance(9_000)
    sink.release(100)
  }
  clock.advance(9_000)
  t.notOk(sink.isEnded)
  clock.advance(1_500)
  t.equal(endOf(sink)?.reason, 'slow')
})

t.test('after a drain a new stall begins at zero', async (t) => {
  const { hub, clock, open } = await startHub(t, { stallTimeout: 10_000, heartbeatInterval: 0 })
  const { sink } = open()
  await settle()
  for (let at = 0; at < 3; at++) {
    sink.room = 0
    await hub.send('alice', { data: String(at) })
    await settle()
    clock.advance(8_000)
    sink.drain()
    await settle()
  }
  clock.advance(30_000)
  t.notOk(sink.isEnded)
})

t.test('time in which the event loop was blocked does not count as a stall', async (t) => {
  const { hub, clock, open } = await startHub(t, { stallTimeout: 10_000 })
  const { sink } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: '1' })
  await settle()
  for (let at = 0; at < 5; at++) {
    clock.block(60_000)
    clock.advance(250)
  }
  t.notOk(sink.isEnded)
  sink.drain()
  await settle()
  t.equal(sink.published.length, 1)
})

t.test('with a stall timeout of 0 no client is too slow', async (t) => {
  const { hub, clock, open } = await startHub(t, { stallTimeout: 0 })
  const { sink } = open()
  await settle()
  sink.room = 0
  await hub.send('alice', { data: '1' })
  await settle()
  clock.advance(3_600_000)
  t.notOk(sink.isEnded)
})

t.test('a stream above the limit of a user closes the oldest of that user for good, and no other', async (t) => {
  const { hub, open } = await startHub(t, { maxStreamsPerUser: 2 })
  const sinks = ['alice', 'bob', 'alice', 'alice'].map((user) => {
    t.equal(hub.manager.admission.admit(user, '192.0.2.1'), undefined)
    return open({ user }).sink
  })
  t.same(
    sinks.map((sink) => sink.isEnded),
    [true, false, false, false]
  )
  t.same(endOf(sinks[0] as FakeSink), { reason: 'replaced', reconnect: false })
})

t.test('a limit that rejects closes no stream', async (t) => {
  const { hub, open } = await startHub(t, { maxStreamsPerUser: 1, onUserLimit: 'reject' })
  const { sink } = open()
  t.equal(hub.manager.admission.admit('alice', ''), 'limit')
  t.equal(hub.manager.admission.admit('bob', ''), undefined)
  t.equal(hub.manager.admission.admit(null, ''), undefined)
  t.notOk(sink.isEnded)
})

t.test('limits for all streams and for an address count open streams', async (t) => {
  const { hub, open } = await startHub(t, { maxStreams: 3, maxStreamsPerAddress: 2 })
  const sinks = [open({ address: '192.0.2.1' }).sink, open({ address: '192.0.2.1' }).sink]
  t.equal(hub.manager.admission.admit('bob', '192.0.2.1'), 'limit')
  t.equal(hub.manager.admission.admit('bob', '192.0.2.2'), undefined)
  sinks.push(open({ address: '192.0.2.2' }).sink)
  t.equal(hub.manager.admission.admit('bob', '192.0.2.3'), 'limit')
  sinks[0]?.disconnect()
  t.equal(hub.manager.admission.admit('bob', '192.0.2.1'), undefined)
})

t.test('a limit of 0 means no limit', async (t) => {
  const { hub, open } = await startHub(t, { maxStreams: 0, maxStreamsPerAddress: 0, maxStreamsPerUser: 0 })
  for (let at = 0; at < 200; at++) open({ address: '192.0.2.1' })
  t.equal(hub.manager.admission.admit('alice', '192.0.2.1'), undefined)
  t.equal(hub.stats().streams, 200)
})

t.test('a client that a limit rejects comes back after five to thirty seconds, and is counted', async (t) => {
  const { hub } = await startHub(t)
  const waits: number[] = []
  for (let at = 0; at < 200; at++) {
    const sink = new FakeSink()
    sink.end(hub.manager.refusal('limit'))
    t.same(endOf(sink), { reason: 'limit', reconnect: true })
    waits.push(sink.parser.reconnectionTime ?? 0)
  }
  t.ok(Math.min(...waits) >= 5_000 && Math.max(...waits) <= 30_000)
  t.ok(new Set(waits).size > 150)
})

t.test('a request is checked before a byte is sent', async (t) => {
  const { hub, clock } = await startHub(t, { maxTopics: 2 })
  const check = (opening: object) => () => hub.manager.admission.check({ user: 'alice', ...opening })
  t.doesNotThrow(check({ topics: ['a', 'b'], expiresAt: clock.now() + 1, last: 1 }))
  t.throws(check({ user: '' }), { code: 'SSE_HUB_ERR_INVALID_USER' })
  t.throws(check({ topics: ['a\n'] }), { code: 'SSE_HUB_ERR_INVALID_TOPIC' })
  t.throws(check({ topics: 'a' }), { code: 'SSE_HUB_ERR_INVALID_DRAFT' })
  t.throws(check({ topics: ['a', 'b', 'c'] }), { code: 'SSE_HUB_ERR_TOO_MANY_TOPICS' })
  for (const last of [0, -1, 1.5, Number.NaN]) t.throws(check({ last }), { code: 'SSE_HUB_ERR_INVALID_DRAFT' })
  for (const expiresAt of ['soon', Number.NaN]) t.throws(check({ expiresAt }), { code: 'SSE_HUB_ERR_INVALID_DRAFT' })
  t.throws(check({ expiresAt: clock.now() }), { code: 'SSE_HUB_ERR_UNAUTHENTICATED', statusCode: 401 })
})

t.test('a drain ends every stream for now, admits no stream, and resolves when all are closed', async (t) => {
  const { hub, clock, open } = await startHub(t)
  const sinks = Array.from({ length: 1_200 }, (_, at) => open({ user: `user ${at}` }).sink)
  await settle()
  hub.broadcast({ data: 'the last' })
  await Promise.all([hub.drain(), hub.drain()])
  for (const sink of sinks) {
    if (!sink.isEnded || !sink.parser.isAtBoundary || sink.published.length !== 1) t.fail('a stream was not ended well')
  }
  t.same(endOf(sinks[0] as FakeSink), { reason: 'shutdown', reconnect: true })
  t.equal(hub.stats().closed.shutdown, 1_200)
  t.equal(hub.manager.admission.admit('alice', ''), 'shutdown')
  t.equal(await hub.ready(), false)
  t.equal(clock.timers, 0)
})

t.test('streams that a shutdown cuts return at about a thousand per second, without a peak in the first', async (t) => {
  const { hub, open } = await startHub(t, { reconnectionTime: 2_000, maxStreamsPerUser: 0 })
  const sinks = Array.from({ length: 8_000 }, () => open().sink)
  await hub.drain()
  const seconds = new Map<number, number>()
  for (const sink of sinks) {
    const second = Math.floor((sink.parser.reconnectionTime ?? 0) / 1_000)
    seconds.set(second, (seconds.get(second) ?? 0) + 1)
  }
  const busiest = Math.max(...seconds.values())
  t.ok(busiest < 1_250, `${busiest} in the busiest second`)
})

t.test('reconnection times are spread between half and one and a half of the option', async (t) => {
  const seed = Number(process.env.SEED ?? 7)
  t.comment(`SEED=${seed}`)
  const { hub } = await startHub(t, { reconnectionTime: 2_000, clock: new FakeClock({ seed }) })
  const times = Array.from({ length: 1_000 }, () => hub.manager.reconnectionTime(false))
  t.ok(Math.min(...times) >= 1_000 && Math.max(...times) <= 3_000)
  t.ok(Math.min(...times) < 1_100 && Math.max(...times) > 2_900)
  t.ok(times.every(Number.isInteger))
})

t.test('a fan-out runs in slices, between which the event loop turns, and later events join in order', async (t) => {
  // Each reading of this clock takes three milliseconds: a slice ends after a few.
  const clock = new FakeClock()
  const { hub, open } = await startHub(t, { clock })
  const sinks = Array.from({ length: 500 }, (_, at) => open({ user: `user ${at}` }).sink)
  await settle()
  const look = clock.monotonic.bind(clock)
  clock.monotonic = () => {
    clock.block(3)
    return look()
  }
  const reached = () => sinks.filter((sink) => sink.published.length > 0).length
  hub.broadcast({ data: '1' })
  await settle(1)
  const first = reached()
  t.ok(first > 0 && first < 500, `${first} in the first slice`)
  hub.broadcast({ data: '2' })
  for (let turn = 0; turn < 500 && reached() < 500; turn++) await settle(1)
  await settle()
  t.ok(sinks.every((sink) => sink.published.map(({ data }) => data).join() === '1,2'))
})

t.test('live streams are served before replaying ones, which make progress nevertheless', async (t) => {
  const clock = new FakeClock()
  const { hub, open } = await startHub(t, { clock })
  for (let at = 0; at < 1_000; at++) await hub.send('returning', { data: String(at) })
  const live = open({ user: 'live' }).sink
  await settle()
  const look = clock.monotonic.bind(clock)
  clock.monotonic = () => {
    clock.block(11)
    return look()
  }
  const returning = Array.from({ length: 20 }, () => open({ user: 'returning', from: 'oldest' }).sink)
  for (let at = 1; at <= 20; at++) {
    hub.send('live', { data: String(at) })
    await settle(1)
    t.equal(live.published.length, at)
  }
  t.ok(returning.some((sink) => sink.published.length > 0))
  await settle(400)
  t.ok(returning.every((sink) => sink.published.length === 1_000))
})

t.test('closed streams leave nothing behind in memory', async (t) => {
  const { hub, clock, open } = await startHub(t)
  const { registry } = hub.manager
  for (const opening of [
    {},
    { topics: ['a', 'b'] },
    { user: null, topics: ['a'], follows: true },
    { address: '192.0.2.1' }
  ]) {
    const { sink } = open({ expiresAt: FAR, ...opening })
    await settle()
    sink.room = 0
    await hub.broadcast({ data: '1' })
    await hub.publish('a', { data: '2' })
    await settle()
    sink.disconnect()
  }
  t.equal(registry.size, 0)
  t.equal(registry.users, 0)
  t.same([...registry.all()], [])
  t.same([...registry.listeners(EVERYONE), ...registry.listeners('t:a'), ...registry.listeners('u:alice')], [])
  t.equal(registry.countOfAddress('192.0.2.1'), 0)
  t.equal(clock.timers, 0)
})
