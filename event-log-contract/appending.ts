import assert from 'node:assert/strict'
import type { EventLog, Receipt } from '../services/event-log/event-log.ts'
import type { Channel } from '../services/events/channel.ts'
import { formatCursor, parseCursor } from '../services/events/cursor.ts'
import { begun, cursorOf, type Define, draft, headOf, named, readAll, seqs, texts, textsOf } from './given.ts'

/** Numbers, batches, receipts, ids, and that events are returned as they were appended. */
export function appending<Log extends EventLog>(define: Define<Log>): void {
  define('numbers the events of all channels in one sequence that begins with 1', async (given) => {
    const log = await given.log()
    assert.equal(log.stats().head, 0)
    assert.equal((await headOf(log)).seq, 0)
    await log.append([draft('u:alice', 'a')])
    await log.append([draft('t:news', 'b'), draft('everyone', 'c')])
    await log.append([draft('u:bob', 'd')])
    assert.deepEqual(seqs(await readAll(log, ['u:alice', 't:news', 'everyone', 'u:bob'], 'oldest')), [1, 2, 3, 4])
    assert.equal(log.stats().head, 4)
    assert.equal((await headOf(log)).seq, 4)
  })

  define('gives the events of a batch consecutive numbers, even if others append meanwhile', async (given) => {
    const log = await given.log()
    const batches = await Promise.all(
      named('batch', 20).map((name) => log.append(named(`${name}/`, 7).map((text) => draft('t:busy', text))))
    )
    for (const receipts of batches) {
      const numbers = receipts.map(({ id }) => parseCursor(id ?? '')?.seq ?? 0)
      assert.deepEqual(
        numbers,
        named('', 7).map((_, index) => (numbers[0] ?? 0) + index)
      )
    }
    const page = await readAll(log, 't:busy', 'oldest')
    assert.deepEqual(
      seqs(page),
      Array.from({ length: 140 }, (_, index) => index + 1)
    )
    for (let at = 0; at < 140; at += 7) {
      const name = texts(page)[at]?.split('/')[0] ?? ''
      assert.deepEqual(texts(page).slice(at, at + 7), named(`${name}/`, 7))
    }
  })

  define('keeps the order of calls that did not wait for each other', async (given) => {
    const log = await given.log()
    await Promise.all(named('a', 50).map((text) => log.append([draft('u:alice', text)])))
    assert.deepEqual(await textsOf(log, 'u:alice'), named('a', 50))
  })

  define('shows a reader the whole of a batch or nothing of it', async (given) => {
    const log = await given.log()
    const appends: Promise<unknown>[] = []
    for (let batch = 0; batch < 20; batch++) {
      appends.push(begun(log.append(named('a', 5).map((text) => draft(['u:alice', 't:news'], text)))))
      const { events } = await readAll(log, ['u:alice', 't:news'], 'oldest')
      assert.equal(events.length % 5, 0, `${events.length} events of batches of 5`)
    }
    await Promise.all(appends)
    assert.equal((await readAll(log, 'u:alice', 'oldest')).events.length, 100)
  })

  define('shows what was appended once the append is fulfilled', async (given) => {
    const log = await given.log()
    for (const text of named('a', 10)) {
      const [receipt] = await log.append([draft('u:alice', text)])
      const page = await readAll(log, 'u:alice', { last: 1 })
      assert.deepEqual(
        page.events.map(({ id, data }) => ({ id, data })),
        [{ id: receipt?.id, data: text }]
      )
      assert.equal(page.next.seq, cursorOf(page.events[0]).seq)
    }
  })

  define('gives a receipt for each event of a batch, in its order', async (given) => {
    const log = await given.log()
    const receipts = await log.append([
      draft('u:alice', 'a', { streams: 3 }),
      draft('u:alice', 'b', { streams: 0, transient: true }),
      draft('u:alice', 'c', { streams: 70_000 })
    ])
    const ids = (await readAll(log, 'u:alice', 'oldest')).events.map(({ id }) => id)
    assert.deepEqual(receipts, [
      { id: ids[0] ?? '', streams: 3, isRepeat: false },
      { id: null, streams: 0, isRepeat: false },
      { id: ids[1] ?? '', streams: 70_000, isRepeat: false }
    ] satisfies Receipt[])
  })

  define('takes an empty batch, which changes nothing', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a')])
    assert.deepEqual(await log.append([]), [])
    assert.equal(log.stats().head, 1)
  })

  define('takes a thousand events in one batch', async (given) => {
    const log = await given.log()
    const receipts = await log.append(named('a', 1_000).map((text) => draft('t:bulk', text)))
    assert.equal(new Set(receipts.map(({ id }) => id)).size, 1_000)
    assert.deepEqual(await textsOf(log, 't:bulk'), named('a', 1_000))
  })

  define('gives ids that are cursors as text: at most 32 of [0-9a-z.], each another', async (given) => {
    const log = await given.log()
    const receipts = await log.append(named('a', 300).map((text) => draft('u:alice', text)))
    const { events } = await readAll(log, 'u:alice', 'oldest')
    for (const [index, event] of events.entries()) {
      assert.match(event.id ?? '', /^[0-9a-z.]{1,32}$/)
      assert.equal(event.id, receipts[index]?.id)
      assert.equal(event.id, formatCursor(cursorOf(event)))
      assert.deepEqual(parseCursor(event.id ?? ''), event.cursor)
    }
    assert.equal(
      new Set(events.map((event) => cursorOf(event).witness)).size,
      300,
      'each entry has a witness of its own'
    )
  })

  define('gives the first event of each log another id, for each log has its own epoch', async (given) => {
    const logs = [await given.log(), await given.log(), await given.log()]
    const ids = await Promise.all(logs.map(async (log) => (await log.append([draft('u:alice', 'a')]))[0]?.id))
    assert.equal(new Set(ids).size, 3)
  })

  define('returns texts and names as they were appended, with any content', async (given) => {
    const log = await given.log()
    const before = await log.append(
      AWKWARD.map((text, index) =>
        draft('t:awkward', text, { event: AWKWARD_NAMES[index] ?? 'message', final: FINALS[index % 3] ?? false })
      )
    )
    const { events } = await readAll(log, 't:awkward', 'oldest')
    assert.equal(events.length, before.length)
    for (const [index, event] of events.entries()) {
      assert.equal(event.data, AWKWARD[index])
      assert.equal(event.event, AWKWARD_NAMES[index] ?? 'message')
      assert.equal(event.final, FINALS[index % 3])
      assert.deepEqual(event.channels, ['t:awkward'])
      assert.equal(event.frame, undefined)
      assert.ok(Number.isFinite(event.time) && event.time > 0, 'the time is one since the epoch')
    }
  })

  define(
    'returns the users that an event excepts, from history and from the tail, and none for other events',
    async (given) => {
      const log = await given.log()
      const listener = await given.listener(log)
      const excepts = [undefined, ['alice'], ['é☃💥 "\\', '__proto__', 'a b'], named('user ', 100)]
      await log.append(excepts.map((except, at) => draft(['t:room', 'u:bob'], `${at}`, { except })))
      await log.append([draft('t:room', 'typing', { except: ['alice'], transient: true }), draft('t:room', 'end')])
      await listener.met('end')
      const page = await readAll(log, 't:room', 'oldest')
      assert.deepEqual(
        page.events.map(({ except }) => except),
        [...excepts, undefined]
      )
      assert.deepEqual(
        listener.events.map(({ except }) => except),
        [...excepts, ['alice'], undefined]
      )
    }
  )

  define('returns the trace of an event, from history and from the tail, and none for other events', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const trace = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'
    const last = '00-00000000000000000000000000000001-0000000000000001-00'
    const traces = [undefined, trace, `${trace} vendor=t61rcWkgMzE,other=1 ~`, last, `${last} ${'a=1,'.repeat(128)}`]
    await log.append(traces.map((trace, at) => draft(['t:room', 'u:bob'], `${at}`, { trace })))
    const [first] = await log.append([draft('t:room', 'said', { trace, except: ['alice'], ttl: 60_000 })])
    await log.append([draft('t:room', 'typing', { trace, transient: true })])
    const retracts = parseCursor(first?.id ?? '')
    await log.append([draft('t:room', 'removed', { trace, retracts }), draft('t:room', 'end')])
    await listener.met('end')
    const page = await readAll(log, 't:room', 'oldest')
    assert.deepEqual(
      page.events.map(({ trace }) => trace),
      [...traces, trace, undefined]
    )
    assert.deepEqual(
      listener.events.map(({ trace }) => trace),
      [...traces, trace, trace, trace, undefined]
    )
    assert.deepEqual(listener.events.find(({ data }) => data === 'said')?.except, ['alice'])
  })

  define('takes an event of a mebibyte', async (given) => {
    const log = await given.log()
    const text = '☃ snow'.repeat(131_072)
    await log.append([draft('u:alice', text)])
    const [event] = (await readAll(log, 'u:alice', 'oldest')).events
    assert.ok(event?.data === text, 'the text is another')
  })

  define('files an event under as many channels as it has', async (given) => {
    const log = await given.log()
    const channels = named('u:user ', 500) as Channel[]
    await log.append([draft(channels, 'to all of you')])
    assert.deepEqual(await textsOf(log, 'u:user 1'), ['to all of you'])
    assert.deepEqual(await textsOf(log, 'u:user 500'), ['to all of you'])
    const { events, remaining } = await readAll(log, channels, 'oldest')
    assert.deepEqual([events.length, remaining], [1, 0])
    assert.deepEqual(events[0]?.channels, channels)
  })

  define('neither numbers nor keeps a transient event', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a')])
    const receipts = await log.append([
      draft('u:alice', 'typing', { transient: true }),
      draft('u:alice', 'b'),
      draft('u:alice', 'typing', { transient: true })
    ])
    assert.deepEqual(
      receipts.map(({ id }) => id === null),
      [true, false, true]
    )
    await log.append([draft('u:alice', 'typing', { transient: true })])
    const page = await readAll(log, 'u:alice', 'oldest')
    assert.deepEqual(texts(page), ['a', 'b'])
    assert.deepEqual(seqs(page), [1, 2])
    assert.deepEqual([page.next.seq, page.evicted, log.stats().head], [2, 0, 2])
  })

  define('returns its statistics at once, without a promise', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'x'.repeat(1_000)), draft('t:news', 'y')])
    const { kind, events, bytes, channels, head } = log.stats()
    assert.ok(kind.length > 0)
    assert.deepEqual({ events, channels, head }, { events: 2, channels: 2, head: 2 })
    assert.ok(bytes >= 1_000)
  })
}

const FINALS = [true, false, 'failed'] as const
const AWKWARD = [
  '',
  ' ',
  'a\r\nid: 9\n\nb\r',
  '\uFEFFbom',
  'nul \0 inside',
  '\u2028 and \u2029',
  '💥 ☃ é ß',
  '{"__proto__":{"a":1}}',
  '$1 %s \\u0000 \' " `',
  'null',
  '-0',
  'x'.repeat(65_536)
]
const AWKWARD_NAMES = ['message', 'é☃💥', 'a b', 'constructor', 'x'.repeat(128), '0', 'null', '$&', ':', 'data: x']
