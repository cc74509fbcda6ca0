import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { LogEvent } from '../../services/events/log-event.ts'
import { type Deliverable, DeliveryQueue } from '../../services/streams/delivery-queue.ts'
import { frameOf, PendingEvents } from '../../services/streams/pending-events.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { settle } from '../support/fake-sink.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

// Pending events

function event(seq: number, { final = false, transient = false, data = `${seq}` } = {}): LogEvent {
  const cursor = transient ? null : { seq, witness: 'w' }
  const id = transient ? null : `${seq}.w`
  return { cursor, id, channels: ['everyone'], event: 'message', data, time: 0, final, frame: undefined }
}

/** The pending events of a stream that has one. */
const alone = (only: LogEvent) => new PendingEvents(only)

t.test('an event is encoded once for all streams for which it is pending', async (t) => {
  const one = event(1)
  t.equal(frameOf(one), 'data: 1\nid: 1.w\n\n')
  const frame = one.frame
  t.equal(frameOf(one), frame)
  one.frame = 'data: kept\n\n'
  const pending = new PendingEvents(one)
  t.equal(pending.bytes.plain.toString(), 'data: kept\n\n', 'a replay has encoded it')
  one.frame = undefined
  t.equal(alone(event(0)).and(pending).bytes.plain.toString(), 'data: 0\nid: 0.w\n\ndata: kept\n\n')
  t.equal(one.frame, undefined, 'only a replay keeps it with the event')
  t.equal(frameOf(event(2, { transient: true })), 'data: 2\n\n', 'without an id if it is transient')
})

t.test('pending events are written in the order in which they came', async (t) => {
  const pending = [2, 3, 4].map((seq) => alone(event(seq))).reduce((before, next) => before.and(next), alone(event(1)))
  t.equal(pending.bytes.plain.toString(), [1, 2, 3, 4].map((seq) => `data: ${seq}\nid: ${seq}.w\n\n`).join(''))
})

t.test('streams with the same pending events share the same bytes, which further events do not change', async (t) => {
  const [one, two, three] = [event(1), event(2), event(3)]
  const first = alone(one)
  const both = first.and(alone(two))
  t.equal(first.and(alone(two)), both)
  const { bytes } = both
  t.equal(both.and(alone(three)).bytes.plain.toString(), `${bytes.plain}${frameOf(three)}`)
  t.equal(both.bytes, bytes)
  t.equal(first.and(alone(two)).bytes, bytes)
  t.equal(first.bytes.plain.toString(), frameOf(one))
})

t.test('streams with the same pending events share one object, and others do not', async (t) => {
  const [one, two, three] = [event(1), event(2), event(3)]
  const first = alone(one)
  const withTwo = first.and(alone(two))
  const withoutTwo = first.and(alone(three))
  t.not(withTwo, withoutTwo)
  t.equal(withTwo.and(alone(three)), withTwo.and(alone(three)))
  t.equal(withoutTwo.bytes.plain.toString(), frameOf(one) + frameOf(three))
  t.equal(withTwo.and(alone(three)).bytes.plain.toString(), frameOf(one) + frameOf(two) + frameOf(three))
})

t.test('pending events know their last cursor, their size, and whether one of them is final', async (t) => {
  const first = alone(event(1))
  t.strictSame([first.cursor?.seq, first.final], [1, false])
  const second = first.and(alone(event(2, { transient: true, data: '☃' })))
  t.equal(second.cursor?.seq, 1, 'a transient event has no cursor')
  const third = second.and(alone(event(3, { final: true })))
  t.strictSame([third.cursor?.seq, third.final], [3, true])
  const fourth = third.and(alone(event(4)))
  t.ok(fourth.final, 'also if something follows')
  t.equal(fourth.size, fourth.bytes.plain.toString().length)
  t.equal(alone(event(5, { transient: true })).cursor, undefined)
})

t.test('however events are addressed, each stream gets its own in order, and equals share', async (t) => {
  const streams = 6
  const addressed = fc.array(fc.uniqueArray(fc.nat({ max: streams - 1 })), { maxLength: 12, size: 'max' })
  const property = fc.property(addressed, (events) => {
    const pending: (PendingEvents | undefined)[] = Array.from({ length: streams })
    const given = Array.from({ length: streams }, () => '')
    events.forEach((listeners, seq) => {
      const one = event(seq)
      const only = alone(one)
      for (const stream of listeners) {
        pending[stream] = pending[stream]?.and(only) ?? only
        given[stream] += frameOf(one)
      }
    })
    return pending.every(
      (mine, stream) =>
        (mine?.bytes.plain.toString() ?? '') === given[stream] &&
        pending.every((other, at) => given[at] !== given[stream] || other?.bytes === mine?.bytes)
    )
  })
  const result = fc.check(property, { seed, numRuns: 2_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
})

// The queue

/** Records the deliveries, and advances the clock by their duration. */
class Desk {
  readonly clock = new FakeClock()
  readonly failures: unknown[] = []
  readonly queue = new DeliveryQueue(this.clock, (_stream, error) => this.failures.push(error))
  readonly done: string[] = []

  stream(name: string, cost = 0, then: () => void = () => {}): Deliverable {
    const work = (kind: string) => {
      this.done.push(`${kind} ${name}`)
      this.clock.block(cost)
      then()
    }
    return { flush: () => work('flush'), catchUp: () => work('catch up') }
  }

  streams(count: number, cost: number): Deliverable[] {
    return Array.from({ length: count }, (_, at) => this.stream(`${at}`, cost))
  }

  /** The number of deliveries after each turn of the event loop, until all are done. */
  async turns(t: Test, all: number): Promise<number[]> {
    const counts: number[] = []
    while (this.done.length < all) {
      if (counts.length > all) t.bailout('the queue does not come to its end')
      await settle(1)
      counts.push(this.done.length)
    }
    return counts
  }
}

t.test('no event is delivered in the turn of the event loop in which it comes', async (t) => {
  const desk = new Desk()
  desk.queue.flushSoon(desk.stream('a'))
  desk.queue.catchUpSoon(desk.stream('b'))
  await Promise.resolve()
  t.strictSame(desk.done, [])
  await settle(1)
  t.strictSame(desk.done, ['flush a', 'catch up b'])
})

t.test('live streams are served before replaying ones, each in the order of queueing', async (t) => {
  const desk = new Desk()
  desk.queue.catchUpSoon(desk.stream('a'))
  desk.queue.flushSoon(desk.stream('b'))
  desk.queue.catchUpSoon(desk.stream('c'))
  desk.queue.flushSoon(desk.stream('d'))
  await settle(1)
  t.strictSame(desk.done, ['flush b', 'flush d', 'catch up a', 'catch up c'])
})

t.test('deliveries run in slices of about ten milliseconds, between which the event loop turns', async (t) => {
  const desk = new Desk()
  for (const stream of desk.streams(1_000, 1)) desk.queue.flushSoon(stream)
  const counts = await desk.turns(t, 1_000)
  const slices = counts.map((count, at) => count - (counts[at - 1] ?? 0))
  t.ok(Math.max(...slices) <= 16, `up to ${Math.max(...slices)} in a slice`)
  t.strictSame(
    desk.done,
    Array.from({ length: 1_000 }, (_, at) => `flush ${at}`)
  )
})

t.test('deliveries get what publishers have left of a slice, at least two milliseconds', async (t) => {
  for (const [delay, slice] of [
    [0, 160],
    [2, 96],
    [4, 64],
    [1_000, 64]
  ] as const) {
    const desk = new Desk()
    for (const stream of desk.streams(200, 1 / 32)) desk.queue.flushSoon(stream)
    desk.clock.block(delay)
    t.equal((await desk.turns(t, 200))[0], slice, `${delay} ms`)
  }
})

t.test('more deliveries than fit into several slices get whole ones, and so do all while streams replay', async (t) => {
  const desk = new Desk()
  for (const stream of desk.streams(2_001, 1 / 32)) desk.queue.flushSoon(stream)
  desk.clock.block(1_000)
  await settle(1)
  t.equal(desk.done.length, 160)

  const storm = new Desk()
  for (const stream of storm.streams(1_000, 1 / 32)) storm.queue.flushSoon(stream)
  storm.queue.catchUpSoon(storm.stream('returning', 1))
  storm.clock.block(1_000)
  await settle(1)
  t.equal(storm.done.length, 161)
})

t.test('deliveries that cost nothing are not sliced', async (t) => {
  const desk = new Desk()
  for (const stream of desk.streams(1_000, 0)) desk.queue.flushSoon(stream)
  t.strictSame(await desk.turns(t, 1_000), [1_000])
})

t.test('a page of history is a slice if it takes long', async (t) => {
  const desk = new Desk()
  for (const stream of desk.streams(9, 1)) desk.queue.catchUpSoon(stream)
  t.strictSame(await desk.turns(t, 9), [2, 4, 6, 8, 9])
})

t.test('a busy hub reads one page of history in every turn of the event loop', async (t) => {
  const desk = new Desk()
  for (const stream of desk.streams(64, 1)) desk.queue.flushSoon(stream)
  for (const name of ['x', 'y', 'z']) desk.queue.catchUpSoon(desk.stream(name, 20))
  await settle(1)
  t.equal(desk.done.length, 17)
  t.equal(desk.done.at(-1), 'catch up x')
  await settle(2)
  t.equal(desk.done.filter((what) => what.startsWith('catch up')).length, 3)
  t.equal(desk.done.length, 51)
})

t.test('events that come while streams replay are delivered before the remaining pages', async (t) => {
  const desk = new Desk()
  const live = desk.stream('live')
  desk.queue.catchUpSoon(desk.stream('a', 20, () => desk.queue.flushSoon(live)))
  desk.queue.catchUpSoon(desk.stream('b', 20))
  await desk.turns(t, 3)
  t.strictSame(desk.done, ['catch up a', 'flush live', 'catch up b'])
})

t.test('streams with much history take turns', async (t) => {
  const desk = new Desk()
  const pages = (name: string, count: number) => {
    let left = count
    const stream: Deliverable = desk.stream(name, 4, () => {
      if (--left > 0) desk.queue.catchUpSoon(stream)
    })
    desk.queue.catchUpSoon(stream)
  }
  for (const name of ['a', 'b', 'c', 'd']) pages(name, 3)
  await desk.turns(t, 12)
  const order = desk.done.map((what) => what.at(-1)).join('')
  for (const round of [order.slice(0, 4), order.slice(4, 8), order.slice(8)]) {
    t.equal([...round].sort().join(''), 'abcd', `${order} in rounds of four`)
  }
})

t.test('streams queued in the middle of a slice are served after the earlier ones, and no event is lost', async (t) => {
  const desk = new Desk()
  let late = 0
  for (let at = 0; at < 100; at++) {
    const then = () => desk.queue.flushSoon(desk.stream(`late ${late++}`, 1))
    desk.queue.flushSoon(desk.stream(`${at}`, 1, then))
  }
  await desk.turns(t, 200)
  const early = Array.from({ length: 100 }, (_, at) => `flush ${at}`)
  const after = Array.from({ length: 100 }, (_, at) => `flush late ${at}`)
  t.strictSame(desk.done, [...early, ...after])
  await settle()
  t.equal(desk.done.length, 200)
})
