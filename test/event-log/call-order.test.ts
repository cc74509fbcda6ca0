import t from 'tap'
import { CallOrder } from '../../services/event-log/redis/call-order.ts'
import type { OnMissing } from '../../services/redis/link.ts'
import { Random } from '../support/random.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
t.comment(`TEST_SEED=${SEED}`)

/** A Redis that sometimes forgets its script; another client may load it again at any time. */
class Redis {
  readonly done: number[] = []
  knowsScript = true

  call(number: number, onMissing: OnMissing): Promise<unknown> {
    const isKnown = this.knowsScript
    if (isKnown) this.done.push(number)
    return Promise.resolve().then(() => {
      if (isKnown) return
      return onMissing(async () => {
        this.knowsScript = true
        this.done.push(number)
      })
    })
  }
}

t.test('calls run in the order in which they were sent, or are rejected', async (t) => {
  const random = new Random(SEED)
  let refused = 0
  for (let round = 0; round < 500; round++) {
    const redis = new Redis()
    const order = new CallOrder()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, (_, number) => {
        redis.knowsScript = random.chance(0.5)
        return order.run((onMissing) => redis.call(number, onMissing))
      })
    )
    t.same(
      redis.done,
      [...redis.done].sort((a, b) => a - b)
    )
    for (const [number, { status }] of outcomes.entries()) {
      if (status === 'rejected') refused++
      t.equal(redis.done.includes(number), status === 'fulfilled')
    }
  }
  t.ok(refused > 0)
})
