import t from 'tap'
import { StoreTime } from '../../services/event-log/redis/store-time.ts'
import { FakeClock } from '../support/fake-clock.ts'

const STORE = 1_000_000

t.test("the store's time advances with the monotonic clock", async (t) => {
  const clock = new FakeClock()
  const time = new StoreTime(clock)
  t.equal(time.now(), clock.now(), "before the store's first answer, it is this process's")
  time.observe(STORE, clock.monotonic())
  clock.wall += 3_600_000
  clock.advance(5_000)
  t.equal(time.now(), STORE + 5_000)
})

t.test('a delayed answer does not set the time back', async (t) => {
  const clock = new FakeClock()
  const time = new StoreTime(clock)
  time.observe(STORE, clock.monotonic())
  const sentAt = clock.monotonic()
  clock.advance(10_000)
  time.observe(STORE, sentAt)
  t.equal(time.now(), STORE + 10_000)
})

t.test('the time is never ahead of the store, and the quicker an answer the nearer to it', async (t) => {
  const clock = new FakeClock()
  const time = new StoreTime(clock)
  // The store's clock is STORE ahead of this process's; each answer takes a third of its round trip there, and two
  // back.
  for (const [trip, late] of [
    [300, 200],
    [30, 20],
    [3_000, 20],
    [3, 2]
  ] as const) {
    const sentAt = clock.monotonic()
    clock.advance(trip)
    time.observe(STORE + sentAt + trip / 3, sentAt)
    t.equal(Math.round(STORE + clock.monotonic() - time.now()), late)
  }
})

t.test('a store whose clock was set is believed at its next answer', async (t) => {
  const clock = new FakeClock()
  const time = new StoreTime(clock)
  for (const set of [STORE, STORE + 3_600_000, STORE]) {
    time.observe(set, clock.monotonic())
    t.equal(time.now(), set)
  }
})
