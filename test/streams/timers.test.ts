import fc from 'fast-check'
import t from 'tap'
import { systemClock } from '../../services/clock.ts'
import { DeadlineHeap } from '../../services/deadline-heap.ts'
import { type HeartbeatMember, HeartbeatWheel } from '../../services/streams/heartbeat-wheel.ts'
import { FakeClock } from '../support/fake-clock.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

// The deadline heap

type Step = { set: number; at: number } | { delete: number } | { until: number }

/** The same as `DeadlineHeap`, by a search through all items. */
class Model {
  readonly times = new Map<number, number>()

  due(now: number): number | undefined {
    if (this.times.size === 0) return undefined
    const earliest = Math.min(...this.times.values())
    return earliest <= now ? earliest : undefined
  }
}

t.test('due items are taken earliest first, each once, after any moves and deletions', async (t) => {
  const item = fc.nat({ max: 12 })
  const time = fc.oneof(fc.nat({ max: 20 }), fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY, 4e12))
  const step: fc.Arbitrary<Step> = fc.oneof(
    { arbitrary: fc.record({ set: item, at: time }), weight: 8 },
    { arbitrary: fc.record({ delete: item }), weight: 3 },
    { arbitrary: fc.record({ until: fc.nat({ max: 20 }) }), weight: 1 }
  )
  const property = fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
    const deadlines = new DeadlineHeap<number>()
    const model = new Model()
    for (const step of [...steps, { until: Number.POSITIVE_INFINITY }]) {
      if ('set' in step) {
        deadlines.set(step.set, step.at)
        model.times.set(step.set, step.at)
      } else if ('delete' in step) {
        deadlines.delete(step.delete)
        model.times.delete(step.delete)
      } else {
        for (;;) {
          const expected = model.due(step.until)
          const taken = deadlines.takeDue(step.until)
          // Of two items with the same deadline either may come first.
          if (taken === undefined ? expected !== undefined : model.times.get(taken) !== expected) return false
          if (taken === undefined) break
          model.times.delete(taken)
        }
      }
      if (deadlines.size !== model.times.size) return false
    }
    return deadlines.size === 0
  })
  const result = fc.check(property, { seed, numRuns: 500 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
})

t.test('an item is due at its deadline, and not before', async (t) => {
  const deadlines = new DeadlineHeap<string>()
  deadlines.set('a', 10)
  t.equal(deadlines.takeDue(9.999), undefined)
  t.equal(deadlines.takeDue(10), 'a')
  t.equal(deadlines.takeDue(10), undefined)
})

t.test('deadlines that are cleared never come due', async (t) => {
  const deadlines = new DeadlineHeap<string>()
  deadlines.set('a', 1)
  deadlines.clear()
  t.equal(deadlines.size, 0)
  t.equal(deadlines.takeDue(5), undefined)
  deadlines.delete('a')
  deadlines.set('b', 2)
  t.equal(deadlines.takeDue(5), 'b')
})

// The heartbeat wheel

/** Members whose only writes are heartbeats, and those of the test. */
class Wheel {
  readonly clock: FakeClock
  readonly wheel: HeartbeatWheel<Member>
  readonly heartbeats: { member: Member; at: number }[] = []
  readonly steps: number[] = []
  onHeartbeat: (member: Member) => void = () => {}

  constructor(interval: number) {
    this.clock = new FakeClock({ seed })
    this.wheel = new HeartbeatWheel<Member>({
      clock: this.clock,
      interval,
      heartbeat: (member) => {
        this.heartbeats.push({ member, at: this.clock.monotonic() })
        this.onHeartbeat(member)
        member.write()
      },
      step: (elapsed) => this.steps.push(elapsed)
    })
  }

  add(count = 1): Member[] {
    const members = Array.from({ length: count }, () => new Member(this.clock))
    for (const member of members) this.wheel.add(member)
    return members
  }
}

class Member implements HeartbeatMember {
  slot = -1
  lastWrite: number
  longestSilence = 0
  readonly #clock: FakeClock

  constructor(clock: FakeClock) {
    this.#clock = clock
    this.lastWrite = clock.monotonic()
  }

  write(): void {
    const now = this.#clock.monotonic()
    this.longestSilence = Math.max(this.longestSilence, now - this.lastWrite)
    this.lastWrite = now
  }
}

const INTERVALS = [15_000, 1_000, 601, 600, 100, 64, 25, 16, 14, 11, 10, 9, 1]

/** The duration of a step of the wheel. */
function stepOf(interval: number): number {
  return Math.max(10, interval / 60)
}

t.test('a silent member gets a heartbeat in every interval, at most a step late', async (t) => {
  for (const interval of INTERVALS) {
    const wheel = new Wheel(interval)
    const members = wheel.add(10)
    for (let added = 0; added < 30; added++) {
      wheel.clock.advance((interval / 30) * wheel.clock.random() * 2)
      members.push(...wheel.add())
    }
    wheel.clock.advance(20 * interval)
    const silence = Math.max(...members.map(({ longestSilence }) => longestSilence))
    t.ok(silence <= interval + stepOf(interval) + 1e-6, `${silence} of ${interval}`)
    t.ok(members.every((member) => wheel.heartbeats.some((heartbeat) => heartbeat.member === member)))
  }
})

t.test('a heartbeat comes at most a quarter of the interval early', async (t) => {
  for (const interval of [15_000, 1_000, 600]) {
    const wheel = new Wheel(interval)
    const silences: number[] = []
    wheel.onHeartbeat = (member) => silences.push(wheel.clock.monotonic() - member.lastWrite)
    wheel.add(200)
    wheel.clock.advance(10 * interval)
    const earliest = Math.min(...silences)
    t.ok(earliest >= 0.75 * interval - stepOf(interval) / 2, `after ${earliest} of ${interval}`)
  }
})

t.test('a member with frequent writes gets no heartbeat', async (t) => {
  const wheel = new Wheel(1_000)
  const [busy, quiet] = wheel.add(2) as [Member, Member]
  for (let time = 0; time < 20_000; time += 100) {
    wheel.clock.advance(100)
    busy.write()
  }
  t.equal(wheel.heartbeats.filter(({ member }) => member === busy).length, 0)
  t.ok(wheel.heartbeats.filter(({ member }) => member === quiet).length >= 19)
})

t.test('members with writes at random times are never silent for too long', async (t) => {
  const wheel = new Wheel(1_000)
  const members = wheel.add(50)
  for (let time = 0; time < 50_000; time += 20) {
    wheel.clock.advance(20)
    for (const member of members) if (wheel.clock.random() < 0.01) member.write()
  }
  const silence = Math.max(...members.map(({ longestSilence }) => longestSilence))
  t.ok(silence <= 1_000 + stepOf(1_000) + 1e-6, `${silence}`)
})

t.test('heartbeats are spread after simultaneous openings or writes', async (t) => {
  const wheel = new Wheel(15_000)
  const members = wheel.add(6_000)
  for (let round = 0; round < 3; round++) {
    wheel.heartbeats.length = 0
    wheel.clock.advance(15_250)
    const atOnce = new Map<number, number>()
    for (const { at } of wheel.heartbeats) atOnce.set(at, (atOnce.get(at) ?? 0) + 1)
    const max = Math.max(...atOnce.values())
    t.ok(wheel.heartbeats.length >= 6_000, `${wheel.heartbeats.length} heartbeats`)
    // A quarter of the wheel has 15 steps: 400 each if they were even, and twice that where two waves meet.
    t.ok(max <= 900, `${max} of 6000 at once`)
    wheel.clock.advance(1_000)
    for (const member of members) member.write()
  }
})

t.test('a timer that fires late makes up for the missed steps', async (t) => {
  const wheel = new Wheel(1_000)
  const members = wheel.add(20)
  wheel.clock.advance(500)
  wheel.clock.block(700)
  wheel.clock.advance(20)
  t.equal(wheel.heartbeats.length, 20, 'all members had been silent for too long')
  t.ok(wheel.heartbeats.every(({ at }) => at <= 1_220))
  wheel.clock.block(100_000)
  for (const member of members) member.write()
  wheel.heartbeats.length = 0
  wheel.clock.advance(5_000)
  const silence = Math.max(...wheel.heartbeats.map(({ at }) => at)) - 101_220
  t.ok(silence >= 3_900, 'and goes on as before')
  for (const member of members) {
    const times = wheel.heartbeats.filter((heartbeat) => heartbeat.member === member).map(({ at }) => at)
    const pauses = times.map((at, index) => at - (times[index - 1] ?? 101_220))
    t.ok(Math.max(...pauses) <= 1_017, `${pauses}`)
  }
})

t.test('a timer that is always a little late does not make heartbeats late', async (t) => {
  const wheel = new Wheel(600)
  const members = wheel.add(50)
  for (let tick = 0; tick < 600; tick++) {
    wheel.clock.block(14)
    wheel.clock.advance(0)
  }
  const silence = Math.max(...members.map(({ longestSilence }) => longestSilence))
  t.ok(silence <= 600 + 10 + 14, `${silence}`)
})

t.test('the step callback gets the duration of each step', async (t) => {
  const wheel = new Wheel(600)
  wheel.add()
  wheel.clock.advance(100)
  t.strictSame(
    wheel.steps,
    Array.from({ length: 10 }, () => 10)
  )
  wheel.clock.block(500)
  wheel.clock.advance(10)
  t.equal(
    wheel.steps.reduce((sum, elapsed) => sum + elapsed, 0),
    610
  )
  t.ok(wheel.steps.includes(500), 'a late step reports its duration')
})

t.test('the step callback runs at least four times a second at any interval', async (t) => {
  const wheel = new Wheel(86_400_000)
  wheel.add()
  wheel.clock.advance(10_000)
  t.ok(wheel.steps.length >= 40, `${wheel.steps.length} times`)
  t.equal(wheel.heartbeats.length, 0)
})

t.test('the timer runs only while there are members', async (t) => {
  const wheel = new Wheel(1_000)
  t.equal(wheel.clock.timers, 0)
  const [first, second] = wheel.add(2) as [Member, Member]
  t.equal(wheel.clock.timers, 1)
  t.equal(wheel.wheel.size, 2)
  wheel.wheel.delete(first)
  wheel.wheel.delete(first)
  t.equal(wheel.clock.timers, 1, 'deleting a member twice counts once')
  wheel.wheel.delete(second)
  t.equal(wheel.clock.timers, 0)
  t.equal(wheel.wheel.size, 0)
  wheel.clock.advance(50_000)
  wheel.add()
  t.equal(wheel.clock.timers, 1)
  wheel.clock.advance(1_020)
  t.equal(wheel.heartbeats.length, 1)
})

t.test('a member that is deleted gets no heartbeat, even by the heartbeat of another', async (t) => {
  const wheel = new Wheel(600)
  const members = wheel.add(50)
  wheel.onHeartbeat = (beaten) => {
    for (const member of members) if (member !== beaten) wheel.wheel.delete(member)
  }
  wheel.clock.advance(6_000)
  t.equal(wheel.wheel.size, 1)
  const survivor = wheel.heartbeats[0]?.member
  t.ok(wheel.heartbeats.length >= 9)
  t.ok(wheel.heartbeats.every(({ member }) => member === survivor))
})

t.test('a heartbeat may delete its own member, and the last one stops the timer', async (t) => {
  const wheel = new Wheel(600)
  wheel.add(3)
  wheel.onHeartbeat = (member) => wheel.wheel.delete(member)
  wheel.clock.advance(620)
  t.equal(wheel.heartbeats.length, 3)
  t.equal(wheel.clock.timers, 0)
})

t.test('an interval of 0 means no heartbeats, but the step callback runs', async (t) => {
  const wheel = new Wheel(0)
  const [member] = wheel.add()
  wheel.clock.advance(100_000)
  t.equal(wheel.heartbeats.length, 0)
  t.equal(wheel.steps.length, 400)
  wheel.wheel.delete(member as Member)
  t.equal(wheel.clock.timers, 0)
})

t.test('the system clock returns the time and random numbers, and ticks until it is stopped', async (t) => {
  const before = Date.now()
  t.ok(systemClock.now() >= before && systemClock.now() <= Date.now())
  const then = systemClock.monotonic()
  t.ok(then <= systemClock.monotonic())
  const drawn = Array.from({ length: 100 }, () => systemClock.random())
  t.ok(drawn.every((number) => number >= 0 && number < 1))
  let ticks = 0
  const stop = await new Promise<() => void>((resolve) => {
    const stopTicking = systemClock.every(1, () => {
      if (++ticks === 3) resolve(stopTicking)
    })
    // The clock's own timer does not keep the process alive; this one does, for as long as the test takes.
    const alive = setTimeout(() => {}, 10_000)
    t.teardown(() => clearTimeout(alive))
  })
  stop()
  const atStop = ticks
  await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(ticks, atStop)
})
