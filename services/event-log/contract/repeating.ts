import assert from 'node:assert/strict'
import type { EventLog } from '../event-log.ts'
import { type Define, draft, named, readAll, seqs, texts, textsOf } from './given.ts'

/** Idempotency keys. */
export function repeating<Log extends EventLog>(define: Define<Log>): void {
  define('gives the first receipt again for a key that it knows, and appends nothing', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const [first] = await log.append([draft('u:alice', 'once', { idempotencyKey: 'k', streams: 5 })])
    const [again] = await log.append([draft(['u:bob', 'u:alice'], 'twice', { idempotencyKey: 'k', streams: 9 })])
    assert.deepEqual(first, { id: first?.id, streams: 5, isRepeat: false })
    assert.deepEqual(again, { id: first?.id, streams: 5, isRepeat: true })
    await log.append([draft('u:alice', 'end')])
    assert.deepEqual(seqs(await readAll(log, ['u:alice', 'u:bob'], 'oldest')), [1, 2])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['once', 'end'])
    await listener.met('end')
    assert.deepEqual(listener.texts, ['once', 'end'])
  })

  define('knows a key from earlier in the same batch', async (given) => {
    const log = await given.log()
    const receipts = await log.append([
      draft('u:alice', 'a', { idempotencyKey: 'k', streams: 1 }),
      draft('u:alice', 'b', { idempotencyKey: 'k', streams: 2 }),
      draft('u:alice', 'c')
    ])
    assert.deepEqual(receipts[1], { id: receipts[0]?.id, streams: 1, isRepeat: true })
    const page = await readAll(log, 'u:alice', 'oldest')
    assert.deepEqual(
      [texts(page), seqs(page)],
      [
        ['a', 'c'],
        [1, 2]
      ]
    )
  })

  define('appends what is new of a batch that is repeated in part', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'b', { idempotencyKey: 'b' }), draft('u:alice', 'd', { idempotencyKey: 'd' })])
    const receipts = await log.append(
      ['a', 'b', 'c', 'd', 'e'].map((text) => draft('u:alice', text, { idempotencyKey: text }))
    )
    assert.deepEqual(
      receipts.map(({ isRepeat }) => isRepeat),
      [false, true, false, true, false]
    )
    const page = await readAll(log, 'u:alice', 'oldest')
    assert.deepEqual(texts(page), ['b', 'd', 'a', 'c', 'e'])
    assert.deepEqual(seqs(page), [1, 2, 3, 4, 5])
    const ids = new Map(page.events.map(({ data, id }) => [data, id]))
    assert.deepEqual(
      receipts.map(({ id }) => id),
      ['a', 'b', 'c', 'd', 'e'].map((text) => ids.get(text))
    )
  })

  define('appends one event when many come with the same key at the same time', async (given) => {
    const log = await given.log()
    const answers = await Promise.all(
      named('a', 20).map((text) => log.append([draft('u:alice', text, { idempotencyKey: 'k' })]))
    )
    const receipts = answers.map(([receipt]) => receipt)
    assert.equal(receipts.filter((receipt) => receipt?.isRepeat === false).length, 1)
    assert.equal(new Set(receipts.map((receipt) => receipt?.id)).size, 1)
    assert.equal((await textsOf(log, 'u:alice')).length, 1)
  })

  define('hands a transient event over once for each key', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const typing = draft('u:alice', 'typing', { transient: true, idempotencyKey: 'k', streams: 2 })
    assert.deepEqual(await log.append([typing]), [{ id: null, streams: 2, isRepeat: false }])
    assert.deepEqual(await log.append([typing, typing]), Array(2).fill({ id: null, streams: 2, isRepeat: true }))
    await log.append([draft('u:alice', 'end')])
    await listener.met('end')
    assert.deepEqual(listener.texts, ['typing', 'end'])
  })

  define('takes any text for a key, and mistakes none for another', async (given) => {
    const log = await given.log()
    const keys = [
      'k',
      'K',
      'k ',
      '__proto__',
      'constructor',
      'é',
      'e\u0301',
      '*',
      '{k}',
      '💥'.repeat(64),
      'x'.repeat(256)
    ]
    const first = await log.append(keys.map((key) => draft('u:alice', key, { idempotencyKey: key })))
    assert.deepEqual(
      first.map(({ isRepeat }) => isRepeat),
      keys.map(() => false)
    )
    const again = await log.append(keys.map((key) => draft('u:alice', key, { idempotencyKey: key })))
    assert.deepEqual(
      again,
      first.map((receipt) => ({ ...receipt, isRepeat: true }))
    )
  })

  define('knows a key when the event itself is no longer held', async (given) => {
    const log = await given.log({ user: 1 })
    const [first] = await log.append([draft('u:alice', 'a', { idempotencyKey: 'k' })])
    await log.append([draft('u:alice', 'b')])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['b'])
    assert.deepEqual(await log.append([draft('u:alice', 'a', { idempotencyKey: 'k' })]), [{ ...first, isRepeat: true }])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['b'])
  })
}
