import assert from 'node:assert/strict'
import type { EventLog, ReadFrom, Receipt } from '../services/event-log/event-log.ts'
import type { Channel } from '../services/events/channel.ts'
import { type Cursor, parseCursor } from '../services/events/cursor.ts'
import type { NewEvent } from '../services/events/log-event.ts'
import { type Define, draft, headOf, named, readAll, texts, textsOf } from './given.ts'

const BOTH: readonly Channel[] = ['u:alice', 'i:alice']

/** Inboxes, their counts, read cursors, and retracted events. */
export function inboxes<Log extends EventLog>(define: Define<Log>): void {
  define('keeps the newest events of each inbox, as many as one may have', async (given) => {
    const log = await given.log({ user: 1, inbox: 3 })
    await log.append([...named('a', 5).map((text) => draft(BOTH, text)), draft('r:alice', 'read')])
    assert.deepEqual(await textsOf(log, 'u:alice'), ['a5'])
    assert.deepEqual(await textsOf(log, 'i:alice'), named('a', 3, 3))
    assert.deepEqual(await textsOf(log, 'r:alice'), ['read'])
    assert.deepEqual(await textsOf(log, BOTH), named('a', 3, 3))
    assert.equal((await readAll(log, 'i:alice', 'oldest')).evicted, 2)
  })

  define('knows whether any inbox has an event', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a')])
    assert.equal(log.stats().hasInboxes, false)
    await log.append([draft(BOTH, 'b')])
    assert.equal(log.stats().hasInboxes, true)
  })

  define('counts the events of an inbox after a cursor without those that are gone', async (given) => {
    const log = await given.log({ inbox: 30 })
    const start = await headOf(log)
    const receipts = await log.append(named('a', 20).map((text) => draft(BOTH, text)))
    for (const text of named('p', 5)) await log.append([draft(BOTH, text, { collapseKey: 'p' })])
    assert.equal(await count(log, start), 21, 'collapsed')
    for (const at of [19, 3, 4, 11]) await log.append([retracting(receipts[at])])
    assert.equal(await count(log, start), 17, 'retracted')
    assert.equal(await count(log, cursorIn(receipts[3])), 14, 'after a retracted one')
    assert.equal(await count(log, cursorIn(receipts[18])), 1)
    assert.equal(await count(log, 'head'), 0)
    await log.append(named('b', 25).map((text) => draft(BOTH, text)))
    assert.equal(await count(log, start), 30, 'evicted')
    assert.equal(await count(log, cursorIn(receipts[17])), 27)
  })

  define('retracts an event from all its channels, without a gap', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const channels: Channel[] = ['u:alice', 'i:alice', 't:news', 'u:bob']
    const [, gone] = await log.append([draft(BOTH, 'a'), draft(channels, 'gone'), draft(BOTH, 'b')])
    const [retraction] = await log.append([retracting(gone, [], 'retraction')])
    assert.ok(retraction?.id)
    await listener.met('retraction')
    assert.deepEqual(listener.texts, ['a', 'gone', 'b', 'retraction'])
    assert.deepEqual(listener.events.at(-1)?.channels, ['u:alice', 't:news', 'u:bob'])
    const mine = await readAll(log, 'u:alice', listener.position)
    assert.deepEqual([texts(mine), mine.evicted, mine.gap], [['a', 'b', 'retraction'], 0, undefined])
    assert.deepEqual(await textsOf(log, 'i:alice'), ['a', 'b'])
    for (const channel of ['t:news', 'u:bob'] as const) {
      const page = await readAll(log, channel, listener.position)
      assert.deepEqual([texts(page), page.gap], [['retraction'], undefined])
    }
    const resumed = await readAll(log, BOTH, cursorIn(gone))
    assert.deepEqual([texts(resumed), resumed.gap], [['b', 'retraction'], undefined])
  })

  define('retracts an event from the named channels alone', async (given) => {
    const log = await given.log()
    const start = await headOf(log)
    const [sent] = await log.append([draft([...BOTH, 'u:bob', 'i:bob'], 'sent')])
    const [receipt] = await log.append([retracting(sent, BOTH, 'retraction')])
    assert.ok(receipt?.id)
    assert.deepEqual(await textsOf(log, BOTH), ['retraction'])
    assert.deepEqual(await textsOf(log, ['u:bob', 'i:bob']), ['sent'])
    assert.equal((await readAll(log, 'u:alice', start)).gap, undefined)
    assert.equal((await log.append([retracting(sent, BOTH)]))[0]?.id, null)
    assert.ok((await log.append([retracting(sent, [], 'all')]))[0]?.id)
    assert.deepEqual(await textsOf(log, ['u:bob', 'i:bob']), ['all'])
  })

  define('appends nothing for an event that cannot be retracted', async (given) => {
    const log = await given.log({ user: 3, inbox: 3 })
    const stranger = await headOf(await given.log())
    const receipts = await log.append([
      ...named('a', 4).map((text) => draft(BOTH, text)),
      draft('u:alice', 'not in the inbox'),
      draft(['u:alice', 'r:alice'], 'of the hub', { event: 'hub.read' }),
      draft('i:bob', 'in an inbox alone')
    ])
    const [evicted, , , newest, other, own, alone] = receipts
    const head = await headOf(log)
    const wrong = { ...cursorIn(newest), witness: cursorIn(other).witness }
    const unknown = [stranger, { ...stranger, seq: 2 }, wrong, { ...head, seq: head.seq + 5 }]
    for (const retraction of [
      retracting(evicted),
      retracting(own),
      retracting(alone),
      retracting(other, BOTH),
      retracting(newest, ['u:bob', 'i:bob']),
      ...unknown.map((retracts) => ({ ...retracting(newest), retracts }))
    ]) {
      assert.deepEqual(await log.append([retraction]), [{ id: null, streams: 0, isRepeat: false }])
    }
    assert.deepEqual(await headOf(log), head)
    assert.deepEqual(await textsOf(log, 'i:alice'), named('a', 3, 2))
    const [retraction, again] = await log.append([retracting(newest), retracting(newest)])
    assert.deepEqual([typeof retraction?.id, again?.id], ['string', null])
  })

  define('retracts an event of the same batch', async (given) => {
    const log = await given.log()
    const [, second] = await log.append([draft(BOTH, 'a'), draft(BOTH, 'b')])
    await log.append([retracting(second, BOTH, 'c'), draft(BOTH, 'd', { collapseKey: 'k' })])
    assert.deepEqual(await textsOf(log, BOTH), ['a', 'c', 'd'])
    assert.equal(await count(log, 'oldest'), 2)
  })

  define('replaces a read cursor only while it is the newest', async (given) => {
    const log = await given.log()
    const read = (text: string, replaces: number) =>
      draft(['u:alice', 'r:alice'], text, { event: 'hub.read', collapseKey: 'hub.read', replaces })
    const [first, second] = await log.append([read('1', 0), read('2', 0)])
    assert.deepEqual([typeof first?.id, second?.id], ['string', null])
    const seq = cursorIn(first).seq
    const [third] = await log.append([read('3', seq)])
    assert.ok(third?.id)
    assert.equal((await log.append([read('4', seq)]))[0]?.id, null)
    assert.equal((await log.append([read('5', 0)]))[0]?.id, null)
    assert.deepEqual(await textsOf(log, ['u:alice', 'r:alice']), ['3'])
    assert.deepEqual(await textsOf(log, 'r:alice'), ['3'])
  })
}

/** Inboxes of a log whose clock can be advanced. */
export function ageingInboxes<Log extends EventLog>(define: Define<Log>, unit: number): void {
  define(
    'keeps an event in the inbox when its age evicts it from its other channels, which is a gap',
    async (given) => {
      const log = await given.log({ age: 10 * unit, inboxAge: 30 * unit })
      const start = await headOf(log)
      const [sent] = await log.append([draft([...BOTH, 't:news'], 'sent'), draft('u:alice', 'other')])
      await given.advance(log, 10.5 * unit)
      for (const channel of ['u:alice', 't:news'] as const) {
        const page = await readAll(log, channel, start)
        assert.deepEqual([texts(page), page.gap], [[], 'evicted'])
      }
      await log.append([draft(BOTH, 'next')])
      assert.deepEqual(await textsOf(log, 'i:alice'), ['sent', 'next'])
      assert.equal((await readAll(log, 'i:alice', start)).gap, undefined)
      assert.equal(await count(log, start), 2)
      assert.equal(await count(log, cursorIn(sent)), 1)
      assert.deepEqual(await textsOf(log, 'u:alice'), ['next'])
    }
  )

  define('drops an event from the inbox when it is too old for that, which is not a gap', async (given) => {
    const log = await given.log({ age: 10 * unit, inboxAge: 30 * unit })
    const start = await headOf(log)
    await log.append([draft(BOTH, 'sent')])
    await given.advance(log, 20 * unit)
    await log.append([draft(BOTH, 'later')])
    await given.advance(log, 10.5 * unit)
    assert.equal(await count(log, start), 1)
    const mine = await readAll(log, 'i:alice', start)
    assert.deepEqual([texts(mine), mine.evicted, mine.gap], [['later'], 0, undefined])
    const user = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(user), user.gap], [[], 'evicted'])
    await log.append([draft('u:bob', 'x')])
    assert.equal(await count(log, start), 1)
  })

  define('reports the gap of an age that passed together with that of inboxes', async (given) => {
    const log = await given.log({ age: 10 * unit, inboxAge: 10 * unit })
    const start = await headOf(log)
    await log.append([draft(BOTH, 'sent'), draft('u:bob', 'x')])
    await given.advance(log, 12 * unit)
    await log.append([draft('u:bob', 'y')])
    assert.equal((await readAll(log, 'u:alice', start)).gap, 'evicted')
    assert.deepEqual(await textsOf(log, 'i:alice'), [])
    assert.equal((await readAll(log, 'i:alice', start)).gap, undefined)
  })

  define('drops an event from the inbox after its ttl, which is not a gap anywhere', async (given) => {
    const log = await given.log({ age: 10 * unit, inboxAge: 30 * unit })
    const start = await headOf(log)
    await log.append([draft(BOTH, 'brief', { ttl: 5 * unit }), draft(BOTH, 'long', { ttl: 20 * unit })])
    await given.advance(log, 5.5 * unit)
    assert.equal(await count(log, start), 1)
    const page = await readAll(log, 'u:alice', start)
    assert.deepEqual([texts(page), page.gap], [['long'], undefined])
    await given.advance(log, 5 * unit)
    assert.deepEqual(await textsOf(log, 'u:alice'), [])
    assert.deepEqual(await textsOf(log, 'i:alice'), ['long'])
    await given.advance(log, 10 * unit)
    assert.equal(await count(log, start), 0)
  })

  define('evicts by age after events that inboxes retain', async (given) => {
    const log = await given.log({ age: 10 * unit, inboxAge: 1_000 * unit, inbox: 4 })
    for (let round = 0; round < 12; round++) {
      await log.append([draft(BOTH, `i${round}`), draft('t:news', `n${round}`)])
      await given.advance(log, 3 * unit)
    }
    assert.deepEqual(await textsOf(log, 'i:alice'), named('i', 4, 8))
    assert.deepEqual(await textsOf(log, 't:news'), named('n', 3, 9))
    await given.advance(log, 20 * unit)
    await log.append([draft('u:bob', 'x')])
    assert.deepEqual(await textsOf(log, 't:news'), [])
    assert.equal(await count(log, 'oldest'), 4)
  })
}

/** Inboxes of a log that is opened again. */
export function lastingInboxes<Log extends EventLog>(define: Define<Log>): void {
  define('keeps inboxes, read cursors and retractions when it is opened again', async (given) => {
    const log = await given.log()
    const [first, second] = await log.append(named('a', 5).map((text) => draft(BOTH, text)))
    await log.append([draft(['u:alice', 'r:alice'], 'read', { collapseKey: 'hub.read', replaces: 0 })])
    await log.append([retracting(second, [], 'retraction')])
    const again = await given.reopened(log)
    assert.equal(await count(again, cursorIn(first)), 3)
    assert.deepEqual(await textsOf(again, 'r:alice'), ['read'])
    assert.deepEqual(await textsOf(again, 'u:alice'), ['a1', 'a3', 'a4', 'a5', 'read', 'retraction'])
    assert.equal((await again.append([retracting(second)]))[0]?.id, null)
    assert.equal(again.stats().hasInboxes, true)
  })
}

/** Inboxes that several nodes share. */
export function sharedInboxes<Log extends EventLog>(define: Define<Log>): void {
  define('counts on every node, and reads a retracted event on no node', async (given) => {
    const log = await given.log()
    const other = await given.secondNode(log)
    const listener = await given.listener(other)
    const [first, second] = await log.append(named('a', 4).map((text) => draft(BOTH, text)))
    assert.equal(await count(other, cursorIn(first)), 3)
    await listener.met('a4')
    await log.append([retracting(second, BOTH, 'retraction')])
    await listener.met('retraction')
    assert.equal(await count(other, cursorIn(first)), 2)
    const tailed = await other.read({ channels: ['u:alice'], from: listener.position, limit: 9, isTailed: true })
    assert.deepEqual([texts(tailed), tailed.gap], [['a1', 'a3', 'a4', 'retraction'], undefined])
    assert.equal(other.stats().hasInboxes, true)
  })
}

/** The number of retained events of the inbox after a position, as the hub counts them. */
async function count(log: EventLog, from: ReadFrom): Promise<number> {
  const { events, remaining } = await log.read({ channels: ['i:alice'], from, limit: 1 })
  return events.length + remaining
}

function cursorIn(receipt: Receipt | undefined): Cursor {
  const cursor = parseCursor(receipt?.id ?? '')
  assert.ok(cursor, 'the event has an id')
  return cursor
}

function retracting(receipt: Receipt | undefined, channels: readonly Channel[] = [], text = 'retracted'): NewEvent {
  return draft(channels, text, { event: 'hub.retract', retracts: cursorIn(receipt) })
}
