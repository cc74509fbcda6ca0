import assert from 'node:assert/strict'
import { type EventLog, MAX_PAGE_TEXT, type ReadFrom, type ReadResult } from '../services/event-log/event-log.ts'
import type { Channel } from '../services/events/channel.ts'
import type { Cursor } from '../services/events/cursor.ts'
import type { LogEvent } from '../services/events/log-event.ts'
import { begun, cursorOf, type Define, draft, headOf, named, readAll, seqs, texts, textsOf, turn } from './given.ts'

/** The start of a read, its pages, and the events of one and of several channels. */
export function reading<Log extends EventLog>(define: Define<Log>): void {
  define('returns only the events of the channels of the reader, the oldest first', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a1'), draft('u:bob', 'b1'), draft('t:alice', 't1'), draft('everyone', 'e1')])
    await log.append([draft('u:bob', 'b2'), draft('u:alice', 'a2')])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['a1', 'a2'])
    assert.deepEqual(await textsOf(log, 'u:bob'), ['b1', 'b2'])
    assert.deepEqual(await textsOf(log, 't:alice'), ['t1'])
    assert.deepEqual(await textsOf(log, 'everyone'), ['e1'])
  })

  define(
    'joins several channels in the order of the sequence, and gives an event of several of them once',
    async (given) => {
      const log = await given.log()
      await log.append([
        draft('u:alice', 'a1'),
        draft(['t:news', 'u:alice'], 'both'),
        draft('everyone', 'e1'),
        draft('t:news', 'n1'),
        draft(['everyone', 't:news', 'u:alice', 'u:bob'], 'all'),
        draft('u:bob', 'b1'),
        draft('u:alice', 'a2')
      ])
      const page = await readAll(log, ['t:news', 'everyone', 'u:alice'], 'oldest')
      assert.deepEqual(texts(page), ['a1', 'both', 'e1', 'n1', 'all', 'a2'])
      assert.deepEqual(seqs(page), [1, 2, 3, 4, 5, 7])
      assert.equal(page.remaining, 0)
    }
  )

  define('reads an empty log from anywhere: nothing, and on from its head', async (given) => {
    const log = await given.log()
    for (const from of ['oldest', 'head', { last: 5 }] as const) {
      const page = await readAll(log, ['u:alice', 'everyone'], from)
      assert.deepEqual(
        [page.events.length, page.remaining, page.next.seq, page.evicted, page.gap],
        [0, 0, 0, 0, undefined]
      )
    }
  })

  define('resumes from the head of an empty log', async (given) => {
    const log = await given.log()
    const start = await headOf(log)
    assert.equal((await readAll(log, 'u:alice', start)).gap, undefined)
    await log.append([draft('u:alice', 'a'), draft('u:alice', 'b')])
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.gap], [['a', 'b'], undefined])
  })

  define('begins with the next event when it reads from "head"', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'old'), draft('everyone', 'older')])
    const now = await readAll(log, 'u:alice', 'head')
    assert.deepEqual([texts(now), now.remaining, now.next.seq, now.gap], [[], 0, 2, undefined])
    await log.append([draft('u:bob', 'not mine'), draft('u:alice', 'new')])
    assert.deepEqual(texts(await readAll(log, 'u:alice', now.next)), ['new'])
  })

  define('resumes after any event that it has, be it of the reader or of another', async (given) => {
    const log = await given.log()
    const events = await mixture(log)
    for (const after of events) {
      const page = await readAll(log, ['u:alice', 'everyone'], cursorOf(after))
      const later = events.filter(
        (event) => cursorOf(event).seq > cursorOf(after).seq && !event.channels.includes('u:bob')
      )
      assert.deepEqual(
        texts(page),
        later.map((event) => event.data)
      )
      assert.equal(page.gap, undefined)
    }
  })

  define('gives the newest so many of all channels together, and all if it has fewer', async (given) => {
    const log = await given.log()
    const mine = (await mixture(log)).filter((event) => !event.channels.includes('u:bob')).map((event) => event.data)
    for (const last of [1, 2, 3, 7, mine.length, mine.length + 1, 1_000_000]) {
      const page = await readAll(log, ['u:alice', 'everyone'], { last })
      assert.deepEqual(texts(page), mine.slice(-last), `the newest ${last}`)
      assert.deepEqual([page.remaining, page.gap], [0, undefined])
    }
    const page = await log.read({ channels: ['u:alice', 'everyone'], from: { last: 5 }, limit: 2 })
    assert.deepEqual(texts(page), mine.slice(-5, -3))
    assert.ok(page.remaining >= 3)
    assert.deepEqual(texts(await readAll(log, ['u:alice', 'everyone'], page.next)), mine.slice(-3))
  })

  define('gives no more than the limit, says how many remain, and reads on from there', async (given) => {
    const log = await given.log()
    await log.append(named('a', 10).map((text) => draft('u:alice', text)))
    await log.append([draft('u:bob', 'b')])
    const first = await log.read({ channels: ['u:alice'], from: 'oldest', limit: 4 })
    assert.deepEqual([texts(first), first.remaining, first.next.seq], [named('a', 4), 6, 4])
    const second = await log.read({ channels: ['u:alice'], from: first.next, limit: 5 })
    assert.deepEqual([texts(second), second.remaining, second.next.seq], [named('a', 5, 5), 1, 9])
    const third = await log.read({ channels: ['u:alice'], from: second.next, limit: 1 })
    assert.deepEqual([texts(third), third.remaining], [['a10'], 0])
    assert.deepEqual(third.next, await headOf(log), 'when nothing remains it goes on from the head')
    assert.deepEqual(
      [first, second, third].map(({ gap }) => gap),
      [undefined, undefined, undefined]
    )
  })

  define('returns every event once when read in pages of any size', async (given) => {
    const log = await given.log()
    const all = (await mixture(log)).map((event) => event.data)
    for (const limit of [1, 2, 3, 5, all.length - 1, all.length, all.length + 1]) {
      assert.deepEqual(await pages(log, ['u:alice', 'u:bob', 'everyone'], limit), all, `in pages of ${limit}`)
    }
  })

  define(
    'says that something remains until nothing does, also of events that are in several channels',
    async (given) => {
      const log = await given.log()
      await log.append(named('a', 6).map((text) => draft(['u:alice', 'everyone', 't:news'], text)))
      const channels: Channel[] = ['u:alice', 'everyone', 't:news']
      for (let limit = 1; limit <= 6; limit++) {
        const { remaining } = await log.read({ channels, from: 'oldest', limit })
        assert.ok(limit < 6 ? remaining >= 6 - limit : remaining === 0, `${remaining} remain after ${limit} of 6`)
      }
    }
  )

  define('meets every event once when read in pages while others append', async (given) => {
    const log = await given.log()
    let isWriting = true
    const write = async () => {
      for (const name of named('batch', 40)) {
        await log.append(named(`${name}/`, 5).map((text) => draft(['t:news', 'everyone'], text)))
        await turn()
      }
      isWriting = false
    }
    const writing = begun(write())
    const met: string[] = []
    for (let from: ReadFrom = 'oldest'; ; ) {
      const isLast = !isWriting
      const page: ReadResult = await log.read({ channels: ['everyone', 't:news'], from, limit: 8 })
      assert.equal(page.gap, undefined)
      met.push(...texts(page))
      assert.ok(met.length <= 200, 'something was met twice')
      from = page.next
      if (page.remaining === 0 && isLast) break
      // A log that answers without a promise would never yield to the writer.
      if (page.remaining === 0) await turn()
    }
    await writing
    assert.deepEqual(met, await textsOf(log, 't:news'))
    assert.equal(met.length, 200)
  })

  define('has nothing, and no gap, in a channel that was never used', async (given) => {
    const log = await given.log({ user: 1 })
    await log.append([draft('u:alice', 'a'), draft('u:alice', 'b'), draft('u:bob', 'c')])
    const page = await readAll(log, 'u:nobody', { ...cursorOf((await readAll(log, 'u:alice', 'oldest')).events[0]) })
    assert.deepEqual([texts(page), page.remaining, page.next.seq, page.evicted, page.gap], [[], 0, 3, 0, undefined])
  })

  define('gives a reader of no channel nothing, and reads on from the head', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a')])
    const page = await readAll(log, [], 'oldest')
    assert.deepEqual([texts(page), page.remaining, page.next.seq, page.evicted, page.gap], [[], 0, 1, 0, undefined])
  })

  define('takes any name for a channel, and mistakes none for another', async (given) => {
    const log = await given.log()
    await log.append(AWKWARD.map((channel) => draft(channel, channel)))
    for (const channel of AWKWARD) assert.deepEqual(await textsOf(log, channel), [channel])
    assert.deepEqual(await textsOf(log, AWKWARD), AWKWARD)
    assert.deepEqual(await textsOf(log, ['u:hasOwnProperty', 't:toString', 'u:ali', 't:new*', 't:\\']), [])
    assert.deepEqual(
      (await readAll(log, AWKWARD, 'oldest')).events.map(({ channels }) => channels),
      AWKWARD.map((name) => [name])
    )
  })

  define('ends a page when it has about so much text, and reads on from there', async (given) => {
    const log = await given.log()
    const text = 'x'.repeat(60_000)
    for (let batch = 0; batch < 4; batch++) {
      await log.append(named('', 10).map((name) => draft(batch % 2 ? 'u:alice' : 'everyone', name + text)))
    }
    const channels: Channel[] = ['u:alice', 'everyone']
    for (const from of ['oldest', { last: 40 }] as const) {
      const page = await log.read({ channels, from, limit: 1_000 })
      const retained = page.events.reduce((sum, { data }) => sum + data.length, 0)
      assert.ok(retained >= MAX_PAGE_TEXT / 2 && retained <= MAX_PAGE_TEXT + 65_536, `${retained} letters in a page`)
      assert.ok(page.remaining >= 40 - page.events.length)
      const rest = await pages(log, channels, 1_000, page.next)
      assert.equal(page.events.length + rest.length, 40)
    }
  })

  define('does not change a page that it has given', async (given) => {
    const log = await given.log({ user: 3 })
    await log.append(named('a', 3).map((text) => draft('u:alice', text)))
    const page = await readAll(log, 'u:alice', 'oldest')
    await log.append(named('b', 3).map((text) => draft('u:alice', text)))
    assert.deepEqual([texts(page), page.next.seq, page.evicted], [named('a', 3), 3, 0])
  })
}

/** Events of Alice, of everyone, of both, and of Bob, in an order without a pattern. */
async function mixture(log: EventLog): Promise<readonly LogEvent[]> {
  const to: (Channel | Channel[])[] = [
    'u:alice',
    'everyone',
    'u:bob',
    ['everyone', 'u:alice'],
    'u:bob',
    'u:alice',
    'u:alice'
  ]
  await log.append(named('e', 23).map((text, index) => draft(to[(index * index) % to.length] ?? 'everyone', text)))
  return (await readAll(log, ['u:alice', 'u:bob', 'everyone'], 'oldest')).events
}

async function pages(
  log: EventLog,
  channels: readonly Channel[],
  limit: number,
  start: Cursor | 'oldest' = 'oldest'
): Promise<string[]> {
  const met: string[] = []
  for (let from = start; ; ) {
    assert.ok(met.length < 1_000, 'the pages come to no end')
    const page = await log.read({ channels, from, limit })
    assert.ok(page.events.length <= limit)
    assert.equal(page.gap, undefined)
    met.push(...texts(page))
    if (page.remaining === 0) return met
    const isFull = page.events.reduce((sum, { data }) => sum + data.length, 0) >= MAX_PAGE_TEXT / 2
    assert.ok(isFull || page.events.length === limit)
    from = page.next
  }
}

const AWKWARD: Channel[] = [
  'everyone',
  'u:everyone',
  't:everyone',
  'u:__proto__',
  't:__proto__',
  'u:constructor',
  'u:alice',
  'u:Alice',
  'u: alice',
  't:alice',
  't:news',
  't:news/',
  't:news/1',
  't:news:1',
  't:a:b',
  'u:a:b',
  't:../../etc',
  't:*',
  't:{news}',
  't:?[a-z]',
  't:a,b',
  't:%2F',
  'u:é',
  'u:e\u0301',
  'u:0',
  'u:00',
  `u:${'💥'.repeat(64)}`,
  `u:${'☃'.repeat(85)}x`,
  `t:${'x'.repeat(256)}`,
  `t:${'x'.repeat(255)}y`
]
