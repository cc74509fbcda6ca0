import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import type { Channel } from '../services/events/channel.ts'
import {
  type ContractParts,
  cursorOf,
  type Define,
  draft,
  headOf,
  idempotent,
  named,
  readAll,
  texts,
  textsOf
} from './given.ts'

/** Retention, eviction, and the gaps of readers. */
export function retaining<Log extends EventLog>(define: Define<Log>, parts: ContractParts<Log>): void {
  define('keeps the newest events of each channel, as many as its kind may have', async (given) => {
    const log = await given.log({ user: 2, topic: 3, everyone: 4 })
    for (const text of named('', 6)) {
      await log.append([draft('u:alice', text), draft('t:news', text), draft('everyone', text), draft('u:bob', text)])
    }
    assert.deepEqual(await textsOf(log, 'u:alice'), ['5', '6'])
    assert.deepEqual(await textsOf(log, 'u:bob'), ['5', '6'])
    assert.deepEqual(await textsOf(log, 't:news'), ['4', '5', '6'])
    assert.deepEqual(await textsOf(log, 'everyone'), ['3', '4', '5', '6'])
  })

  define('reports a gap to readers that miss an evicted event, and to no others', async (given) => {
    const log = await given.log({ user: 2, topic: 5, everyone: 3 })
    const channels: Channel[] = ['u:alice', 't:news', 'everyone', 'u:bob']
    const cursors = [await headOf(log)]
    for (let round = 0; round < 24; round++) {
      await log.append([draft(channels[(round * round + round) % 3] ?? 'u:bob', `${round}`)])
      if (round === 3) await log.append([draft('u:bob', 'b')])
      cursors.push(await headOf(log))
    }
    for (const of of [
      ...channels.map((channel) => [channel]),
      ['u:alice', 'u:bob'],
      ['t:news', 'everyone'],
      channels
    ]) {
      const { evicted } = await readAll(log, of as Channel[], 'oldest')
      for (const cursor of cursors) {
        const { gap } = await readAll(log, of as Channel[], cursor)
        assert.equal(
          gap,
          evicted > cursor.seq ? 'evicted' : undefined,
          `${of} after ${cursor.seq}, evicted up to ${evicted}`
        )
      }
    }
    assert.equal((await readAll(log, 'u:bob', 'oldest')).evicted, 0)
  })

  define('says which number was the last to be evicted from the channels of a reader', async (given) => {
    const log = await given.log({ user: 2 })
    const evicted = async (...channels: Channel[]) => (await readAll(log, channels, 'oldest')).evicted
    await log.append([draft('u:alice', '1'), draft('u:bob', '2'), draft('u:alice', '3'), draft('u:bob', '4')])
    assert.equal(await evicted('u:alice', 'u:bob'), 0)
    await log.append([draft('u:alice', '5')])
    assert.deepEqual([await evicted('u:alice'), await evicted('u:bob'), await evicted('u:bob', 'u:alice')], [1, 0, 1])
    await log.append([draft('u:bob', '6'), draft('u:bob', '7')])
    assert.deepEqual([await evicted('u:alice'), await evicted('u:bob'), await evicted('u:alice', 'u:bob')], [1, 4, 4])
    await log.append([draft('u:alice', '8')])
    assert.deepEqual([await evicted('u:alice'), await evicted('u:bob'), await evicted('u:alice', 'u:bob')], [3, 4, 4])
  })

  define('reports no gap to a reader that begins with the oldest, the newest or the next event', async (given) => {
    const log = await given.log({ user: 1 })
    await log.append(named('a', 5).map((text) => draft('u:alice', text)))
    for (const from of ['oldest', 'head', { last: 3 }] as const) {
      const page = await readAll(log, 'u:alice', from)
      assert.deepEqual([page.gap, page.evicted], [undefined, 4])
    }
  })

  define('reports a gap to a reader that is overtaken between two pages', async (given) => {
    const log = await given.log({ user: 4 })
    await log.append(named('a', 4).map((text) => draft('u:alice', text)))
    const first = await log.read({ channels: ['u:alice'], from: 'oldest', limit: 1 })
    await log.append([draft('u:alice', 'a5')])
    const second = await log.read({ channels: ['u:alice'], from: first.next, limit: 1 })
    assert.deepEqual(
      [texts(second), second.gap],
      [['a2'], undefined],
      'evicted only events that the reader has received'
    )
    await log.append(named('a', 2, 6).map((text) => draft('u:alice', text)))
    const third = await log.read({ channels: ['u:alice'], from: second.next, limit: 9 })
    assert.deepEqual([texts(third), third.gap], [named('a', 4, 4), 'evicted'])
  })

  define('lets an event that one channel evicts stay in the others', async (given) => {
    const log = await given.log({ topic: 1 })
    const start = await headOf(log)
    await log.append([draft(['t:news', 'u:alice'], 'both')])
    await log.append(named('n', 5).map((text) => draft('t:news', text)))
    assert.deepEqual(await textsOf(log, 't:news'), ['n5'])
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.evicted, page.gap], [['both'], 0, undefined])
    assert.deepEqual(texts(await readAll(log, ['u:alice', 't:news'], start)), ['both', 'n5'])
  })

  define('evicts nothing from a channel, however much another is given', async (given) => {
    const log = await given.log({ user: 3, topic: 3 })
    const start = await headOf(log)
    await log.append(named('a', 3).map((text) => draft('u:alice', text)))
    for (let batch = 0; batch < 10; batch++) await log.append(named('n', 100).map((text) => draft('t:news', text)))
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.evicted, page.gap], [named('a', 3), 0, undefined])
  })

  define('keeps nothing of a kind that may have nothing, and says so', async (given) => {
    const log = await given.log({ user: 0 })
    const listener = await given.listener(log)
    await log.append([draft('u:alice', 'a'), draft(['u:alice', 't:news'], 'both'), draft('t:news', 'n')])
    await listener.met('n')
    assert.deepEqual(listener.texts, ['a', 'both', 'n'])
    const mine = await readAll(log, 'u:alice', listener.position)
    assert.deepEqual([texts(mine), mine.evicted, mine.gap], [[], 2, 'evicted'])
    assert.deepEqual(texts(await readAll(log, 't:news', listener.position)), ['both', 'n'])
    assert.equal((await readAll(log, 'u:alice', mine.next)).gap, undefined)
  })

  define('replaces the event of a collapse key by the newest, which is no gap', async (given) => {
    const log = await given.log({ user: 3 })
    const start = await headOf(log)
    await log.append([draft('u:alice', 'first')])
    for (const text of named('', 9)) {
      await log.append([draft('u:alice', `progress ${text}`, { collapseKey: 'p' }), draft('u:bob', text)])
    }
    const old = await headOf(log)
    await log.append([
      draft('u:alice', 'progress 10', { collapseKey: 'p' }),
      draft('u:alice', 'last', { collapseKey: 'q' })
    ])
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.evicted, page.gap], [['first', 'progress 10', 'last'], 0, undefined])
    assert.deepEqual(
      (await readAll(log, 'u:alice', { last: 2 })).events.map(({ data }) => data),
      ['progress 10', 'last']
    )
    const resumed = await readAll(log, 'u:alice', old)
    assert.deepEqual([texts(resumed), resumed.gap], [['progress 10', 'last'], undefined])
  })

  define('resumes after an event that was collapsed', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a'), draft('u:alice', 'p1', { collapseKey: 'p' })])
    const cursor = cursorOf((await readAll(log, 'u:alice', { last: 1 })).events[0])
    await log.append([draft('u:alice', 'b'), draft('u:alice', 'p2', { collapseKey: 'p' })])
    const page = await readAll(log, 'u:alice', cursor)
    assert.deepEqual([texts(page), page.gap], [['b', 'p2'], undefined])
  })

  define('collapses in each channel for itself', async (given) => {
    const log = await given.log()
    await log.append([draft(['u:alice', 'u:bob'], '1', { collapseKey: 'k' })])
    await log.append([
      draft(['u:alice', 't:news'], '2', { collapseKey: 'k' }),
      draft('t:news', '3', { collapseKey: 'K' })
    ])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['2'])
    assert.deepEqual(await textsOf(log, 'u:bob'), ['1'])
    assert.deepEqual(await textsOf(log, 't:news'), ['2', '3'])
    assert.deepEqual(await textsOf(log, ['u:bob', 't:news', 'u:alice']), ['1', '2', '3'])
  })

  define('collapses within a batch, and dispatches every event of it', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    await log.append(named('p', 5).map((text) => draft('u:alice', text, { collapseKey: '__proto__' })))
    assert.deepEqual(await textsOf(log, 'u:alice'), ['p5'])
    await listener.met('p5')
    assert.deepEqual(listener.texts, named('p', 5))
  })

  define('does not count collapsed events, and reports a gap when the newest of the key is evicted', async (given) => {
    const log = await given.log({ user: 2 })
    const start = await headOf(log)
    await log.append([
      draft('u:alice', 'a'),
      ...named('p', 5).map((text) => draft('u:alice', text, { collapseKey: 'p' }))
    ])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['a', 'p5'])
    await log.append([draft('u:alice', 'b'), draft('u:alice', 'c')])
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.evicted, page.gap], [['b', 'c'], 6, 'evicted'])
    await log.append([draft('u:alice', 'p6', { collapseKey: 'p' })])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['c', 'p6'])
  })

  if (parts.withoutByteBounds) return

  define(
    'keeps no more text in a channel than the bound for channels, but its newest event in any case',
    async (given) => {
      const log = await given.log({ channelBytes: 20_000 })
      const start = await headOf(log)
      await log.append(named('', 100).map((text) => draft('t:news', text.padStart(1_000))))
      const page = await readAll(log, 't:news', start)
      assert.ok(page.events.length >= 1 && page.events.length <= 20, `${page.events.length} events of 1,000 bytes`)
      assert.deepEqual(
        texts(page),
        named('', 100)
          .slice(-page.events.length)
          .map((text) => text.padStart(1_000))
      )
      assert.deepEqual([page.gap, page.evicted], ['evicted', 100 - page.events.length])
      await log.append([draft('t:news', 'x'.repeat(50_000))])
      assert.deepEqual(
        (await textsOf(log, 't:news')).map((text) => text.length),
        [50_000]
      )
    }
  )

  define('keeps no more text in all than its bound, and evicts from the heaviest channel', async (given) => {
    const log = await given.log({ bytes: 200_000 })
    const start = await headOf(log)
    for (const text of named('a', 5)) {
      await log.append([draft('u:alice', text)])
      await log.append(named('', 20).map((number) => draft('t:chatty', number.padStart(5_000))))
    }
    const mine = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(mine), mine.evicted, mine.gap], [named('a', 5), 0, undefined])
    const chatty = await readAll(log, 't:chatty', start)
    assert.equal(chatty.gap, 'evicted')
    assert.ok(chatty.events.length >= 1 && chatty.events.length <= 40, `${chatty.events.length} events of 5,000 bytes`)
    assert.ok(log.stats().bytes <= 200_000, `${log.stats().bytes} bytes`)
    assert.equal(texts(chatty).at(-1), '20'.padStart(5_000))
  })

  define('keeps the history of users while a publisher floods topics, everyone and keys', async (given) => {
    const log = await given.log({ bytes: 200_000 })
    const start = await headOf(log)
    // Less than the share of users: the flooded kinds of history have shares of their own.
    await log.append(named('a', 10).map((text) => draft('u:alice', text.padStart(300))))
    const flood = 'x'.repeat(2_000)
    for (const round of named('', 40)) {
      await log.append([
        ...named('', 5).map((number) => draft(`t:reports/${number}`, flood)),
        ...named('', 2).map(() => draft('everyone', flood)),
        ...named('', 10).map((number) =>
          draft('t:keys', number, { idempotency: idempotent(`${round} ${number}`, { scope: 'flood' }) })
        )
      ])
    }
    const mine = await readAll(log, 'u:alice', start)
    assert.deepEqual([mine.gap, mine.evicted], [undefined, 0])
    assert.deepEqual(
      texts(mine).map((text) => text.trim()),
      named('a', 10)
    )
    assert.equal((await readAll(log, 't:reports/1', start)).gap, 'evicted')
    assert.ok(log.stats().bytes <= 200_000, `${log.stats().bytes} bytes`)
  })
}
