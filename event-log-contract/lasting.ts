import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import {
  begun,
  cursorOf,
  type Define,
  draft,
  headOf,
  idempotent,
  named,
  readAll,
  seqs,
  texts,
  textsOf
} from './given.ts'

/** The state of a durable log after it was killed. */
export function lasting<Log extends EventLog>(define: Define<Log>): void {
  define('has everything that was acknowledged when it is opened again, as it was', async (given) => {
    const log = await given.log()
    await log.append([
      draft(['u:alice', 't:news'], 'a', { event: 'é☃', final: true, except: ['bob', 'é"'] }),
      draft('everyone', '\0\r\n💥', {
        final: 'failed',
        trace: '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'
      }),
      draft('u:alice', 'gone', { transient: true })
    ])
    await log.append(named('b', 200).map((text) => draft('u:alice', text)))
    const before = await readAll(log, ['u:alice', 't:news', 'everyone'], 'oldest')
    const again = await given.reopened(log)
    const after = await readAll(again, ['u:alice', 't:news', 'everyone'], 'oldest')
    assert.deepEqual(after, before)
    assert.deepEqual(texts(after).slice(0, 2), ['a', '\0\r\n💥'])
    assert.equal(again.stats().head, 202)
  })

  define('goes on with the next number when it is opened again, and resumes every cursor', async (given) => {
    let log = await given.log()
    const cursors = [await headOf(log)]
    for (const text of named('a', 5)) {
      await log.append([draft('u:alice', text), draft('u:bob', 'b')])
      cursors.push(await headOf(log))
      log = await given.reopened(log)
    }
    const page = await readAll(log, 'u:alice', 'oldest')
    assert.deepEqual([texts(page), seqs(page)], [named('a', 5), [1, 3, 5, 7, 9]])
    for (const [index, cursor] of cursors.entries()) {
      const resumed = await readAll(log, 'u:alice', cursor)
      assert.deepEqual([texts(resumed), resumed.gap], [named('a', 5).slice(index), undefined])
    }
  })

  define('resumes the head of an empty log when it is opened again', async (given) => {
    const log = await given.log()
    const start = await headOf(log)
    const again = await given.reopened(log)
    assert.deepEqual(await headOf(again), start)
    await again.append([draft('u:alice', 'a')])
    const page = await readAll(again, 'u:alice', start)
    assert.deepEqual([texts(page), page.gap], [['a'], undefined])
  })

  define('still knows a wrong witness, and a number that it never gave, when it is opened again', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a'), draft('u:alice', 'b')])
    const [first, second] = (await readAll(log, 'u:alice', 'oldest')).events.map(cursorOf)
    const again = await given.reopened(log)
    assert.equal((await readAll(again, 'u:alice', { seq: 1, witness: second?.witness ?? '' })).gap, 'diverged')
    assert.equal((await readAll(again, 'u:alice', { seq: 2, witness: first?.witness ?? '' })).gap, 'diverged')
    assert.equal((await readAll(again, 'u:alice', { seq: 3, witness: first?.witness ?? '' })).gap, 'diverged')
  })

  define('still knows what it evicted, and from whom, when it is opened again', async (given) => {
    const log = await given.log({ user: 2, topic: 0 })
    const start = await headOf(log)
    await log.append([
      draft('u:bob', 'b'),
      draft('t:news', 'n'),
      ...named('a', 5).map((text) => draft('u:alice', text))
    ])
    const again = await given.reopened(log)
    const pages = await Promise.all(
      (['u:alice', 'u:bob', 't:news', 'u:nobody'] as const).map((of) => readAll(again, of, start))
    )
    assert.deepEqual(
      pages.map(({ evicted, gap }) => [evicted, gap]),
      [
        [5, 'evicted'],
        [0, undefined],
        [2, 'evicted'],
        [0, undefined]
      ]
    )
    assert.deepEqual(texts(pages[0] ?? (await readAll(again, 'u:alice', start))), ['a4', 'a5'])
    await again.append([draft('u:alice', 'a6')])
    const page = await readAll(again, 'u:alice', start)
    assert.deepEqual([texts(page), page.evicted], [['a5', 'a6'], 6])
  })

  define('still knows idempotency keys when it is opened again', async (given) => {
    const log = await given.log()
    const event = draft('u:alice', 'a', { idempotency: idempotent('k'), streams: 4 })
    const [first] = await log.append([event])
    const again = await given.reopened(log)
    assert.deepEqual(await again.append([event]), [{ ...first, isRepeat: true }])
    assert.deepEqual(await textsOf(again, 'u:alice'), ['a'])
  })

  define('still collapses with what was there when it is opened again', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'p1', { collapseKey: 'p' }), draft('u:alice', 'a')])
    const again = await given.reopened(log)
    await again.append([draft('u:alice', 'p2', { collapseKey: 'p' })])
    assert.deepEqual(await textsOf(again, 'u:alice'), ['a', 'p2'])
  })

  define('dispatches only new events when it is opened again', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'old')])
    const again = await given.reopened(log)
    const listener = await given.listener(again)
    assert.equal(listener.position.seq, 1)
    await again.append([draft('u:alice', 'new')])
    await listener.met('new')
    assert.deepEqual(listener.texts, ['new'])
  })

  define(
    'has whole batches when it was ended while they were appended, and all that were acknowledged',
    async (given) => {
      const log = await given.log()
      const fulfilled: string[] = []
      const appends = named('', 30).map((name) => {
        const batch = named(`${name}/`, 5).map((text) => draft('u:alice', text))
        return begun(log.append(batch).then(() => fulfilled.push(name)))
      })
      await appends[0]
      const again = await given.reopened(log)
      await Promise.allSettled(appends)
      const retained = await textsOf(again, 'u:alice')
      const whole = [...new Set(retained.map((text) => text.split('/')[0] ?? ''))]
      assert.deepEqual(
        retained,
        whole.flatMap((name) => named(`${name}/`, 5))
      )
      for (const name of fulfilled) assert.ok(whole.includes(name), `batch ${name} was acknowledged and is gone`)
    }
  )
}

/** Expiry in a durable log whose clock can be advanced, while it is not open. */
export function expiring<Log extends EventLog>(define: Define<Log>, unit: number): void {
  define('goes on measuring time when it is opened again', async (given) => {
    const log = await given.log({ age: 4 * unit, idempotencyWindow: 2 * unit })
    const start = await headOf(log)
    await log.append([
      draft('u:alice', 'expires', { ttl: 2 * unit, idempotency: idempotent('k') }),
      draft('u:alice', 'ages')
    ])
    await given.advance(log, unit)
    const again = await given.reopened(log)
    assert.deepEqual(await textsOf(again, 'u:alice'), ['expires', 'ages'])
    await given.advance(again, 1.5 * unit)
    const page = await readAll(again, 'u:alice', start)
    assert.deepEqual([texts(page), page.gap], [['ages'], undefined])
    const [receipt] = await again.append([draft('u:bob', 'b', { idempotency: idempotent('k') })])
    assert.equal(receipt?.isRepeat, false)
    await given.advance(again, 2 * unit)
    const last = await readAll(again, 'u:alice', start)
    assert.deepEqual([texts(last), last.evicted, last.gap], [[], 2, 'evicted'])
  })
}
