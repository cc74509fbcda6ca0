import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import { type Define, draft, headOf, idempotent, readAll, texts, textsOf } from './given.ts'

/** Expiry, for logs whose clock can be advanced. Durations are in units, and checked half a unit before and after. */
export function timing<Log extends EventLog>(define: Define<Log>, unit: number): void {
  define('evicts events beyond their age, which is a gap', async (given) => {
    const log = await given.log({ age: 2 * unit })
    const start = await headOf(log)
    await log.append([draft('u:alice', 'a'), draft('u:bob', 'b')])
    await given.advance(log, unit)
    await log.append([draft(['u:alice', 't:news'], 'c')])
    await given.advance(log, unit / 2)
    assert.deepEqual(texts(await readAll(log, 'u:alice', start)), ['a', 'c'])
    await given.advance(log, unit)
    const mine = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(mine), mine.evicted, mine.gap], [['c'], 1, 'evicted'])
    const bobs = await readAll(log, 'u:bob', start)
    assert.deepEqual([texts(bobs), bobs.evicted, bobs.gap], [[], 2, 'evicted'])
    await given.advance(log, unit)
    for (const channel of ['u:alice', 't:news'] as const) {
      const page = await readAll(log, channel, start)
      assert.deepEqual([texts(page), page.evicted, page.gap], [[], 3, 'evicted'])
    }
    assert.equal((await readAll(log, 'u:alice', await headOf(log))).gap, undefined)
    assert.equal((await readAll(log, 'u:nobody', start)).gap, undefined)
  })

  define('no longer returns an expired event, which is no gap', async (given) => {
    const log = await given.log()
    const start = await headOf(log)
    await log.append([
      draft('u:alice', 'for long', { ttl: 3 * unit }),
      draft(['u:alice', 'u:bob'], 'shortly', { ttl: unit }),
      draft('u:alice', 'for good'),
      draft('u:alice', 'not even kept', { ttl: unit, transient: true })
    ])
    const second = (await readAll(log, 'u:bob', start)).events[0]?.cursor
    await given.advance(log, unit / 2)
    assert.deepEqual(await textsOf(log, 'u:alice'), ['for long', 'shortly', 'for good'])
    await given.advance(log, unit)
    const page = await readAll(log, ['u:alice', 'u:bob'], start)
    assert.deepEqual([texts(page), page.evicted, page.gap], [['for long', 'for good'], 0, undefined])
    assert.deepEqual(await textsOf(log, 'u:bob'), [])
    const resumed = await readAll(log, 'u:alice', second ?? 'oldest')
    assert.deepEqual([texts(resumed), resumed.gap], [['for good'], undefined], 'resumes after an expired event')
    await given.advance(log, 2 * unit)
    assert.deepEqual(texts(await readAll(log, 'u:alice', { last: 2 })), ['for good'])
    assert.equal((await headOf(log)).seq, 3)
  })

  define('does not count expired events', async (given) => {
    const log = await given.log({ user: 2 })
    const start = await headOf(log)
    await log.append([draft('u:alice', 'a'), draft('u:alice', 'lapses', { ttl: unit })])
    await given.advance(log, 1.5 * unit)
    await log.append([draft('u:alice', 'b')])
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.evicted, page.gap], [['a', 'b'], 0, undefined])
  })

  define('reports a gap when retention drops an event before its TTL', async (given) => {
    const log = await given.log({ user: 1 })
    const start = await headOf(log)
    await log.append([draft('u:alice', 'a', { ttl: 100 * unit }), draft('u:alice', 'b')])
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.evicted, page.gap], [['b'], 1, 'evicted'])
  })

  define('keeps the newest of a collapse key as long as it is worth, not the one before', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'p1', { collapseKey: 'p', ttl: unit })])
    await log.append([
      draft('u:alice', 'p2', { collapseKey: 'p', ttl: 3 * unit }),
      draft('u:alice', 'q1', { collapseKey: 'q' })
    ])
    await given.advance(log, 1.5 * unit)
    assert.deepEqual(await textsOf(log, 'u:alice'), ['p2', 'q1'])
    await log.append([draft('u:alice', 'q2', { collapseKey: 'q', ttl: unit })])
    await given.advance(log, 2 * unit)
    assert.deepEqual(await textsOf(log, 'u:alice'), [])
    await log.append([draft('u:alice', 'p3', { collapseKey: 'p' }), draft('u:alice', 'q3', { collapseKey: 'q' })])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['p3', 'q3'])
  })

  define('forgets an idempotency key when its window has passed since the first, not the last, use', async (given) => {
    const log = await given.log({ idempotencyWindow: 2 * unit })
    const append = async () => (await log.append([draft('u:alice', 'a', { idempotency: idempotent('k') })]))[0]
    const first = await append()
    for (let step = 0; step < 2; step++) {
      await given.advance(log, 0.75 * unit)
      assert.deepEqual(await append(), { ...first, isRepeat: true })
    }
    await given.advance(log, unit)
    const second = await append()
    assert.equal(second?.isRepeat, false)
    assert.notEqual(second?.id, first?.id)
    assert.deepEqual(await textsOf(log, 'u:alice'), ['a', 'a'])
    await given.advance(log, 1.5 * unit)
    assert.deepEqual(await append(), { ...second, isRepeat: true })
  })
}
