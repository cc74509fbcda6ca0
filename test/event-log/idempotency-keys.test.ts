import t from 'tap'
import type { Receipt } from '../../services/event-log/event-log.ts'
import { IdempotencyKeys } from '../../services/event-log/memory/idempotency-keys.ts'

const WINDOW = 1_000
const MAX_KEYS = 100_000

/** Keys of one scope by default. */
class Keys {
  readonly keys = new IdempotencyKeys(WINDOW)

  get(key: string, now: number, scope = 'a'): Receipt | undefined {
    return this.keys.find({ scope, key, digest: '' }, now)?.receipt
  }

  set(key: string, receipt: Receipt, now: number, scope = 'a'): void {
    this.keys.add({ scope, key, digest: 'content' }, receipt, now)
  }
}

function receipt(id: string): Receipt {
  return { id, streams: 1, isRepeat: false }
}

t.test('a key gives its receipt again until its window is over, and then no more', async (t) => {
  const keys = new Keys()
  const first = receipt('1')
  keys.set('a', first, 50)
  t.equal(keys.get('a', 50), first)
  t.equal(keys.get('a', 50 + WINDOW - 1), first)
  t.equal(keys.get('a', 50 + WINDOW), undefined)
  t.equal(keys.get('b', 50), undefined)
  t.equal(keys.get('a', 50, 'b'), undefined, 'in another scope it is another key')
  t.equal(keys.keys.find({ scope: 'a', key: 'a', digest: '' }, 50)?.digest, 'content')
})

t.test('a key that is used again after its window has the newer receipt, for a window of its own', async (t) => {
  const keys = new Keys()
  keys.set('a', receipt('1'), 0)
  keys.set('b', receipt('2'), 500)
  keys.set('a', receipt('3'), 1_200)
  keys.keys.expire(1_200)
  t.equal(keys.get('a', 1_300)?.id, '3')
  t.equal(keys.get('b', 1_400)?.id, '2', 'and another in between keeps its own')
  t.equal(keys.get('b', 1_500), undefined)
  keys.keys.expire(2_199)
  t.equal(keys.get('a', 2_199)?.id, '3')
  t.equal(keys.get('a', 2_200), undefined)
})

t.test('keys and scopes that are named like the properties of an object are like any other', async (t) => {
  const keys = new Keys()
  for (const key of ['__proto__', 'constructor', 'toString']) {
    t.equal(keys.get(key, 0, key), undefined)
    keys.set(key, receipt(key), 0, key)
    t.equal(keys.get(key, 1, key)?.id, key)
  }
})

t.test('of more keys than a scope may have it forgets the oldest, and no other scope forgets any', async (t) => {
  const keys = new Keys()
  keys.set('quiet', receipt('q'), 0, 'b')
  for (let count = 0; count < MAX_KEYS; count++) keys.set(`${count}`, receipt(`${count}`), 0)
  t.equal(keys.get('0', 0)?.id, '0', 'it retains its maximum')
  for (let more = 0; more < 10; more++) keys.set(`more ${more}`, receipt('x'), 0)
  const retained = Array.from({ length: MAX_KEYS }, (_, at) => keys.get(`${at}`, 0) !== undefined)
  t.equal(retained.indexOf(true), 10, 'just the oldest are gone')
  t.notOk(retained.includes(false, 10))
  t.equal(keys.get('more 9', 0)?.id, 'x')
  t.equal(keys.get('quiet', 0, 'b')?.id, 'q')
})

t.test('a key that is used again counts as new when the oldest are forgotten', async (t) => {
  const keys = new Keys()
  keys.set('a', receipt('1'), 0)
  for (let at = 0; at < MAX_KEYS - 1; at++) keys.set(`${at}`, receipt('x'), 500)
  keys.set('a', receipt('2'), WINDOW)
  keys.set('more', receipt('x'), WINDOW)
  t.equal(keys.get('0', WINDOW), undefined, 'the oldest is forgotten')
  t.equal(keys.get('1', WINDOW)?.id, 'x')
  t.equal(keys.get('a', WINDOW)?.id, '2')
})

t.test('an expired key weighs nothing any more, and neither does its scope', async (t) => {
  const keys = new Keys()
  for (let at = 0; at < 1_000; at++) keys.set(`${at}`, receipt('x'), at, `${at % 7}`)
  const { bytes } = keys.keys
  t.ok(bytes > 300_000 && bytes < 500_000, `${bytes} bytes`)
  keys.keys.expire(WINDOW + 499)
  t.ok(keys.keys.bytes < 0.55 * bytes && keys.keys.bytes > 0.45 * bytes, `${keys.keys.bytes} bytes`)
  t.equal(keys.get('500', WINDOW + 499, `${500 % 7}`)?.id, 'x')
  keys.keys.expire(2 * WINDOW)
  t.equal(keys.keys.bytes, 0)
})

t.test('the scope with the most keys forgets keys first, until it has no more', async (t) => {
  const keys = new Keys()
  for (let at = 0; at < 100; at++) keys.set(`${at}`, receipt('x'), 0)
  keys.set('quiet', receipt('q'), 0, 'b')
  for (let at = 0; at < 90; at++) t.equal(keys.keys.forgetOne(), true)
  t.equal(keys.get('quiet', 0, 'b')?.id, 'q')
  t.equal(keys.get('99', 0)?.id, 'x')
  for (let at = 0; at < 11; at++) t.equal(keys.keys.forgetOne(), true)
  t.equal(keys.keys.forgetOne(), false)
  t.equal(keys.keys.bytes, 0)
})
