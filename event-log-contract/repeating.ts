import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import { type Define, draft, idempotent, named, readAll, seqs, texts, textsOf } from './given.ts'

/** Idempotency keys. */
export function repeating<Log extends EventLog>(define: Define<Log>): void {
  define('gives the first receipt again for a key that it knows, and appends nothing', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const [first] = await log.append([draft('u:alice', 'once', { idempotency: idempotent('k'), streams: 5 })])
    const [again] = await log.append([
      draft(['u:bob', 'u:alice'], 'twice', { idempotency: idempotent('k'), streams: 9 })
    ])
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
      draft('u:alice', 'a', { idempotency: idempotent('k'), streams: 1 }),
      draft('u:alice', 'b', { idempotency: idempotent('k'), streams: 2 }),
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
    await log.append([
      draft('u:alice', 'b', { idempotency: idempotent('b') }),
      draft('u:alice', 'd', { idempotency: idempotent('d') })
    ])
    const receipts = await log.append(
      ['a', 'b', 'c', 'd', 'e'].map((text) => draft('u:alice', text, { idempotency: idempotent(text) }))
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
      named('a', 20).map((text) => log.append([draft('u:alice', text, { idempotency: idempotent('k') })]))
    )
    const receipts = answers.map(([receipt]) => receipt)
    assert.equal(receipts.filter((receipt) => receipt?.isRepeat === false).length, 1)
    assert.equal(new Set(receipts.map((receipt) => receipt?.id)).size, 1)
    assert.equal((await textsOf(log, 'u:alice')).length, 1)
  })

  define('dispatches a transient event once for each key', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const typing = draft('u:alice', 'typing', { transient: true, idempotency: idempotent('k'), streams: 2 })
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
    const first = await log.append(keys.map((key) => draft('u:alice', key, { idempotency: idempotent(key) })))
    assert.deepEqual(
      first.map(({ isRepeat }) => isRepeat),
      keys.map(() => false)
    )
    const again = await log.append(keys.map((key) => draft('u:alice', key, { idempotency: idempotent(key) })))
    assert.deepEqual(
      again,
      first.map((receipt) => ({ ...receipt, isRepeat: true }))
    )
  })

  define('knows a key when the event itself is no longer retained', async (given) => {
    const log = await given.log({ user: 1 })
    const [first] = await log.append([draft('u:alice', 'a', { idempotency: idempotent('k') })])
    await log.append([draft('u:alice', 'b')])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['b'])
    assert.deepEqual(await log.append([draft('u:alice', 'a', { idempotency: idempotent('k') })]), [
      { ...first, isRepeat: true }
    ])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['b'])
  })

  define('keeps the keys of one scope apart from those of another', async (given) => {
    const log = await given.log()
    const scopes = ['a', 'b', 'a/k', '__proto__', '']
    const append = () =>
      log.append(
        scopes.map((scope) => draft('u:alice', scope, { idempotency: idempotent('k', { scope, digest: scope }) }))
      )
    const first = await append()
    assert.deepEqual(
      first.map(({ isRepeat }) => isRepeat),
      scopes.map(() => false)
    )
    assert.deepEqual(
      await append(),
      first.map((receipt) => ({ ...receipt, isRepeat: true }))
    )
    assert.deepEqual(await textsOf(log, 'u:alice'), scopes)
  })

  define('refuses a key that comes again with other content, and the whole batch that it is in', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const keyed = (text: string) => draft('u:alice', text, { idempotency: idempotent('k', { digest: text }) })
    const [first] = await log.append([keyed('a')])
    for (const batch of [[keyed('b')], [draft('u:bob', 'before'), keyed('b'), draft('u:bob', 'after')]]) {
      await assert.rejects(log.append(batch), { code: 'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED', statusCode: 422 })
    }
    assert.deepEqual(await log.append([keyed('a')]), [{ ...first, isRepeat: true }])
    await log.append([draft('u:alice', 'end')])
    assert.deepEqual(await textsOf(log, ['u:alice', 'u:bob']), ['a', 'end'])
    await listener.met('end')
    assert.deepEqual(listener.texts, ['a', 'end'])
  })

  define('refuses a batch that has one key with two contents', async (given) => {
    const log = await given.log()
    const keyed = (text: string) => draft('u:alice', text, { idempotency: idempotent('k', { digest: text }) })
    await assert.rejects(log.append([keyed('a'), keyed('b')]), { code: 'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED' })
    const [receipt] = await log.append([keyed('b')])
    assert.equal(receipt?.isRepeat, false, 'the key of a refused batch is free')
    assert.deepEqual(await textsOf(log, 'u:alice'), ['b'])
  })

  define('refuses no other batch with the one whose key comes with other content', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a', { idempotency: idempotent('k', { digest: 'a' }) })])
    const answers = await Promise.allSettled(
      named('', 9).map((text, index) =>
        log.append([draft('u:bob', text, index === 4 ? { idempotency: idempotent('k', { digest: text }) } : {})])
      )
    )
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map((_, index) => (index === 4 ? 'rejected' : 'fulfilled'))
    )
    assert.deepEqual(
      await textsOf(log, 'u:bob'),
      named('', 9).filter((_, index) => index !== 4)
    )
  })

  define('forgets no key of a scope, however many keys another has', async (given) => {
    const log = await given.log()
    const keyed = (scope: string, key: string) =>
      draft('u:alice', key, { transient: true, idempotency: idempotent(key, { scope }) })
    await log.append([keyed('quiet', 'k')])
    for (let batch = 0; batch < 110; batch++) {
      await log.append(named(`${batch}/`, 1_000).map((key) => keyed('flood', key)))
    }
    const receipts = await log.append([keyed('quiet', 'k'), keyed('flood', '109/1000')])
    assert.deepEqual(
      receipts.map(({ isRepeat }) => isRepeat),
      [true, true]
    )
  })
}
