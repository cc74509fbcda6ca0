import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import type { Retention } from '../../services/event-log/retention.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { frameOf } from '../../services/streams/pending-events.ts'
import { FakeClock } from '../support/fake-clock.ts'

/**
 * Costs of the log, as ratios of times on the same machine in the same minute. A cost that must not grow with the log
 * may grow by this factor, because of caches and other load; if it did grow with the log, it would grow a hundredfold.
 */
const GENEROUS = 10

t.setTimeout(120_000)

const PLENTY = 1e12

function memoryLog(retention: Partial<Retention> = {}): MemoryLog {
  const counts = { user: PLENTY, topic: PLENTY, everyone: PLENTY, inbox: PLENTY }
  const plenty = { ...counts, age: PLENTY, inboxAge: PLENTY, channelBytes: PLENTY, bytes: PLENTY }
  return new MemoryLog({ retention: { ...plenty, ...retention }, idempotencyWindow: 1_000, clock: new FakeClock() })
}

function draft(to: Channel | readonly Channel[], data = 'x', rest: Partial<NewEvent> = {}): NewEvent {
  const channels = typeof to === 'string' ? [to] : to
  return { channels, event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}

async function fill(log: MemoryLog, count: number, make: (index: number) => NewEvent): Promise<void> {
  for (let at = 0; at < count; at += 1_000) {
    await log.append(Array.from({ length: Math.min(1_000, count - at) }, (_, index) => make(at + index)))
  }
}

/** The shortest of some runs, in microseconds per call: longer runs include the work of other processes. */
async function cost(times: number, act: (time: number) => unknown): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY
  for (let run = 0; run < 5; run++) {
    const start = performance.now()
    for (let time = 0; time < times; time++) await act(run * times + time)
    shortest = Math.min(shortest, performance.now() - start)
  }
  return (1_000 * shortest) / times
}

function compare(t: Test, small: number, large: number): void {
  t.ok(large < GENEROUS * small, `${small.toFixed(2)} and ${large.toFixed(2)} microseconds`)
}

t.test('reading a page costs the same from a short channel and from a long one, also when it has holes', async (t) => {
  const [short, long] = [memoryLog(), memoryLog()]
  const [small, large] = await both([short, long], async (log) => {
    // Every eighth event collapses the one before of its key: that leaves a hole.
    await fill(log, log === short ? 2_000 : 200_000, (index) =>
      draft('t:news', 'x', { collapseKey: index % 8 ? undefined : `${index % 1_000}` })
    )
    return cost(500, () => log.read({ channels: ['t:news'], from: 'oldest', limit: 128 }))
  })
  compare(t, small, large)
})

t.test('appending costs the same among ten channels and among a hundred thousand', async (t) => {
  const [small, large] = await both([10, 100_000], async (count) => {
    const log = memoryLog()
    await fill(log, Math.max(count, 1_000), (index) => draft(`u:${index % count}`))
    return cost(2_000, (time) => log.append([draft(`u:${(time * 7_919) % count}`)]))
  })
  compare(t, small, large)
})

t.test('evicting costs the same among a hundred channels and among a hundred thousand', async (t) => {
  const [small, large] = await both([100, 100_000], async (count) => {
    // Each channel gets three events and has room for about two.
    const log = memoryLog({ bytes: count * 1_600 })
    await fill(log, 3 * count, (index) => draft(`u:${index % count}`))
    const { events } = log.stats()
    const evicting = await cost(3_000, (time) => log.append([draft(`u:${(time * 7_919) % count}`)]))
    t.ok(Math.abs(log.stats().events - events) < events / 10, 'each append evicts about one event')
    return evicting
  })
  compare(t, small, large)
})

t.test('evicting costs the same when every event is for a channel that was never used', async (t) => {
  const [small, large] = await both([100, 100_000], async (count) => {
    const log = memoryLog({ bytes: count * 1_200 })
    await fill(log, 2 * count, (index) => draft(`u:old ${index}`))
    return cost(3_000, (time) => log.append([draft(`u:new ${time}`)]))
  })
  compare(t, small, large)
})

t.test('evicting costs the same when one channel after the other is emptied and filled again', async (t) => {
  const [small, large] = await both([100, 100_000], async (count) => {
    const log = memoryLog({ user: 0 })
    await fill(log, 2 * count, (index) => draft(`u:${index % count}`))
    return cost(3_000, (time) => log.append([draft(`u:${time % count}`)]))
  })
  compare(t, small, large)
})

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

async function heapUsed(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

t.test('nothing is left in memory of former channels, however many they were', async (t) => {
  const log = memoryLog({ topic: 0, user: 1, bytes: 500_000 })
  // Channels that are emptied at once, that evict because they are heavy, and that stay and retain one event after the
  // other.
  const channels = [
    (index: number) => `t:${index % 1_000}`,
    (index: number) => `u:heavy ${index % 500}`,
    (index: number) => `u:${index % 50}`
  ]
  // Once every part of the log has been in use, its memory is the same after very many events as after some.
  const churn = (count: number) =>
    fill(log, count, (index) => {
      const channel = channels[index % 3]?.(index) as Channel
      const data = 'x'.repeat(index % 3 === 1 ? 3_000 : 1)
      return draft(channel, data, { ttl: index % 2 ? 1_000_000 : undefined, collapseKey: `${index}` })
    })
  await churn(10_000)
  const before = await heapUsed()
  await churn(300_000)
  const grown = (await heapUsed()) - before
  t.ok(grown < 1_000_000, `${grown} bytes more`)
  t.ok(log.stats().bytes <= 500_000)
})

t.test('the log counts about as many bytes as it uses', async (t) => {
  // Texts and names that only the log references, in one piece: as they come from a request.
  const own = (text: string) => Buffer.from(text).toString('latin1')
  const shapes: Record<string, (index: number) => NewEvent> = {
    'of one channel': (index) => draft(own('t:orders') as Channel, own(`${index}`.padStart(100))),
    'of a channel each': (index) => draft(own(`u:user ${index}`) as Channel, own(`${index}`.padStart(100))),
    'of ten channels each': (index) =>
      draft(
        Array.from({ length: 10 }, (_, at) => own(`t:orders/${(index + 97 * at) % 1_000}`) as Channel),
        own(`${index}`.padStart(100))
      ),
    'of a kilobyte': (index) => draft(own('t:orders') as Channel, own(`${index}`.padStart(1_000))),
    'of two-byte letters': (index) => draft(own('t:orders') as Channel, `☃${index}`.padStart(300))
  }
  for (const [shape, make] of Object.entries(shapes)) {
    const { counted, retained } = await weigh(make)
    t.ok(
      counted > 0.75 * retained && counted < 1.4 * retained,
      `${shape}: ${counted} counted and ${retained} used for each event`
    )
  }
})

/**
 * The weight of an event by the log's count, and in memory. A separate function, so that its log is gone before the
 * next.
 */
async function weigh(make: (index: number) => NewEvent): Promise<{ counted: number; retained: number }> {
  const count = 20_000
  const before = await heapUsed()
  const log = memoryLog()
  await log.tail({
    onEvents: (events) => {
      for (const event of events) Buffer.from(frameOf(event))
    },
    onDiscontinuity: () => {}
  })
  await fill(log, count, make)
  const retained = (await heapUsed()) - before
  return { counted: log.stats().bytes / count, retained: retained / count }
}

// The last, because its million events keep the garbage collector busy.
t.test(
  'reading after a cursor, and appending, cost the same beside a thousand events of others and beside a million',
  async (t) => {
    const [few, many] = [memoryLog(), memoryLog()]
    await fill(few, 1_000, (index) => draft(`t:${index % 100}`))
    await fill(many, 1_000_000, (index) => draft(`t:${index % 100}`))
    const [small, large] = await both([few, many], async (log) => {
      await fill(log, 1_000, () => draft('u:alice'))
      const { next } = log.read({ channels: ['u:alice'], from: 'oldest', limit: 950 })
      const query = { channels: ['u:alice', 'everyone'] as const, from: next, limit: 128 }
      const reading = await cost(500, () => log.read(query))
      const beginning = await cost(500, () => log.read({ ...query, from: 'head' }))
      const newest = await cost(500, () => log.read({ ...query, from: { last: 20 } }))
      const appending = await cost(500, () => log.append([draft('u:bob')]))
      return { reading, beginning, newest, appending }
    })
    for (const act of ['reading', 'beginning', 'newest', 'appending'] as const) {
      await t.test(act, async (t) => compare(t, small[act], large[act]))
    }
  }
)

async function both<Item, Result>(
  items: readonly [Item, Item],
  act: (item: Item) => Promise<Result>
): Promise<[Result, Result]> {
  return [await act(items[0]), await act(items[1])]
}
