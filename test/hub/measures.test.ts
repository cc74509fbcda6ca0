import t from 'tap'
import { LATENCY_BOUNDS, LatencyHistogram } from '../../services/latency-histogram.ts'
import { RecentMax } from '../../services/recent-max.ts'
import { settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

t.test('streams are counted by their state', async (t) => {
  const { hub, open } = await startHub(t)
  const read = hub.measure()
  const { sink } = open()
  t.same((await read()).states, { replaying: 1, live: 0, backpressured: 0, pending: 0 })
  await settle()
  t.same((await read()).states, { replaying: 0, live: 1, backpressured: 0, pending: 0 })
  sink.room = 0
  await hub.send('alice', { data: 1 })
  t.equal((await read()).states.pending, 1)
  await settle()
  t.same((await read()).states, { replaying: 0, live: 0, backpressured: 1, pending: 0 })
  await hub.send('alice', { data: 2 })
  await settle()
  t.same((await read()).states, { replaying: 1, live: 0, backpressured: 0, pending: 0 })
  sink.drain()
  await settle()
  const { states, deliveries } = await read()
  t.same(states, { replaying: 0, live: 1, backpressured: 0, pending: 0 })
  t.match(deliveries, { delivered: 1, replayed: 1 })
  t.equal(deliveries.bytes, Buffer.concat(sink.writes).length + frames(sink.writes))
})

/** The bytes of the chunks around the writes, as HTTP/1.1 frames them. */
function frames(writes: readonly Buffer[]): number {
  return writes.reduce((sum, { length }) => sum + length.toString(16).length + 4, 0)
}

t.test('the time until a write is measured once for events that are written together', async (t) => {
  const { hub, clock, open } = await startHub(t)
  open()
  open({ user: 'bob' })
  await settle()
  await hub.broadcast({ data: 'before it is measured' })
  await settle()
  const read = hub.measure()
  t.equal((await read()).writeLatency.count, 0)
  const sent = [hub.broadcast({ data: 1 }), hub.send('alice', { data: 2 })]
  await Promise.all(sent)
  clock.advance(30)
  await settle()
  const { writeLatency, appendLatency } = await read()
  t.match(writeLatency, { count: 1, sum: 30 })
  t.equal(writeLatency.counts[LATENCY_BOUNDS.indexOf(50)], 1)
  t.equal(appendLatency.count, 2)
  await hub.send('nobody', { data: 3 })
  await settle()
  t.equal((await read()).writeLatency.count, 1, 'an event without a stream is not written')
})

t.test('a late heartbeat timer is a lag for at least one window, and is forgotten after two', async (t) => {
  const { hub, clock, open } = await startHub(t, { heartbeatInterval: 15_000 })
  const read = hub.measure()
  open()
  await settle()
  clock.block(3_000)
  clock.advance(250)
  t.ok((await read()).heartbeatLag >= 2_000)
  for (let second = 0; second < 40; second++) clock.advance(1_000)
  t.ok((await read()).heartbeatLag < 2_000)
})

t.test('a discontinuity, a failed read, and the bounds of a histogram are counted', async (t) => {
  const { hub } = await startHub(t)
  const read = hub.measure()
  hub.manager.onDiscontinuity(hub.manager.head)
  t.equal((await read()).deliveries.discontinuities, 1)

  const histogram = new LatencyHistogram()
  for (const milliseconds of [0, 0.1, 0.11, 10_000, 10_001]) histogram.observe(milliseconds)
  t.same([histogram.counts[0], histogram.counts[1], histogram.counts.at(-2), histogram.counts.at(-1)], [2, 1, 1, 1])
  t.equal(histogram.count, 5)

  const max = new RecentMax(10)
  max.add(5, 0)
  max.add(3, 1)
  t.equal(max.read(9), 5)
  t.equal(max.read(19), 5, 'a reader who comes once per window sees it')
  t.equal(max.read(40), 0)
})
