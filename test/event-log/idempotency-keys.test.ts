import t from 'tap'
import type { Receipt } from '../../services/event-log/event-log.ts'
import { IdempotencyKeys } from '../../services/event-log/idempotency-keys.ts'

const WINDOW = 1_000
const MAX_KEYS = 100_000

function receipt(id: string): Receipt {
  return { id, streams: 1, isRepeat: false }
}

t.test('a key gives its receipt again until its window is over, and then no more', async (t) => {
  const keys = new IdempotencyKeys(WINDOW)
  const first = receipt('1')
  keys.set('a', first, 50)
  t.equal(keys.get('a', 50), first)
  t.equal(keys.get('a', 50 + WINDOW - 1), first)
  t.equal(keys.get('a', 50 + WINDOW), undefined)
  t.equal(keys.get('b', 50), undefined)
})

t.test('a key that is used again after its window has the newer receipt, for a window of its own', async (t) => {
  const keys = new IdempotencyKeys(WINDOW)
  keys.set('a', receipt('1'), 0)
  keys.set('b', receipt('2'), 500)
  keys.set('a', receipt('3'), 1_200)
  t.equal(keys.get('a', 1_300)?.id, '3')
  t.equal(keys.get('b', 1_400)?.id, '2', 'and another in between keeps its own')
  t.equal(keys.get('b', 1_500), undefined)
  t.equal(keys.get('a', 2_199)?.id, '3')
  t.equal(keys.get('a', 2_200), undefined)
})

t.test('keys that are named like the properties of an object are keys like any other', async (t) => {
  const keys = new IdempotencyKeys(WINDOW)
  for (const key of ['__proto__', 'constructor', 'toString']) {
    t.equal(keys.get(key, 0), undefined)
    keys.set(key, receipt(key), 0)
    t.equal(keys.get(key, 1)?.id, key)
  }
})

t.test('of more keys than it holds it forgets the oldest, and keeps the newest', async (t) => {
  const keys = new IdempotencyKeys(WINDOW)
  for (let count = 0; count < MAX_KEYS; count++) keys.set(`${count}`, receipt(`${count}`), 0)
  t.equal(keys.get('0', 0)?.id, '0', 'so many it holds')
  keys.set('one more', receipt('x'), 0)
  t.equal(keys.get('0', 0), undefined)
  t.equal(keys.get('one more', 0)?.id, 'x')
  let held = 0
  let oldest = Number.POSITIVE_INFINITY
  for (let count = 0; count < MAX_KEYS; count++) {
    if (keys.get(`${count}`, 0) === undefined) continue
    held++
    oldest = Math.min(oldest, count)
  }
  t.ok(held >= 0.9 * MAX_KEYS, `${held} are left`)
  t.equal(oldest, MAX_KEYS - held, 'just the oldest are gone')
})

t.test('it forgets none before its time when it holds just as many as it may', async (t) => {
  const keys = new IdempotencyKeys(WINDOW)
  for (let count = 0; count < MAX_KEYS; count++) keys.set(`${count}`, receipt(`${count}`), 0)
  // Time to look for those that have lapsed.
  keys.set('1', receipt('again'), WINDOW / 2)
  t.equal(keys.get('0', WINDOW / 2)?.id, '0')
})

t.test('a key that is used again counts as new when the oldest are forgotten', async (t) => {
  const keys = new IdempotencyKeys(WINDOW)
  const fill = (count: number, now: number) => {
    for (let at = 0; at < count; at++) keys.set(`${now} ${at}`, receipt('x'), now)
  }
  keys.set('a', receipt('1'), 0)
  fill(MAX_KEYS / 2, 500)
  keys.set('a', receipt('2'), WINDOW)
  fill(MAX_KEYS / 2, WINDOW)
  t.equal(keys.get('500 0', WINDOW), undefined, 'some are forgotten')
  t.equal(keys.get('a', WINDOW)?.id, '2')
})

t.test('a flood of keys costs no more for each than a few of them do', async (t) => {
  const time = (count: number, keys: IdempotencyKeys) => {
    const start = performance.now()
    for (let at = 0; at < count; at++) keys.set(`${count} ${at}`, receipt(''), 0)
    return (performance.now() - start) / count
  }
  const keys = new IdempotencyKeys(WINDOW)
  const filling = time(MAX_KEYS, keys)
  const flooded = time(2 * MAX_KEYS, keys)
  // Purging for each key, or looking at all of them, would be slower by thousands.
  t.ok(flooded < 50 * filling + 0.01, `${filling * 1e6} and ${flooded * 1e6} ns a key`)
})
