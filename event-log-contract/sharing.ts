import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import { parseCursor } from '../services/events/cursor.ts'
import {
  begun,
  type Define,
  draft,
  type Given,
  headOf,
  idempotent,
  type Listener,
  named,
  readAll,
  seqs,
  textsOf
} from './given.ts'

/** Several nodes of one hub over one store. */
export function sharing<Log extends EventLog>(define: Define<Log>): void {
  define('dispatches the events of any node to the listeners of all, once and in one order', async (given) => {
    const { one, two, listeners } = await nodes(given)
    await Promise.all(
      named('', 20).flatMap((name) =>
        [one, two].map((node, index) =>
          node.append([
            draft('t:busy', `${index} ${name}a`),
            draft('t:busy', `${index} ${name}b`, { transient: true }),
            draft('t:busy', `${index} ${name}c`)
          ])
        )
      )
    )
    await one.append([draft('t:busy', 'end')])
    for (const listener of listeners) await listener.met('end')
    const [first, second] = listeners
    assert.equal(first?.texts.length, 121)
    assert.deepEqual(second?.texts, first?.texts)
    assert.deepEqual(
      first?.seqs,
      Array.from({ length: 81 }, (_, index) => index + 1)
    )
    assert.deepEqual(
      second?.events.map(({ id }) => id),
      first?.events.map(({ id }) => id)
    )
  })

  define('gives the batches of all nodes numbers of one sequence, with nothing between', async (given) => {
    const { one, two } = await nodes(given)
    const batches = await Promise.all(
      named('', 15).flatMap((name) =>
        [one, two].map((node) => node.append(named(`${name}/`, 4).map((text) => draft('t:busy', text))))
      )
    )
    const numbers = batches.map((receipts) => receipts.map(({ id }) => parseCursor(id ?? '')?.seq ?? 0))
    for (const batch of numbers)
      assert.deepEqual(
        batch,
        batch.map((_, index) => (batch[0] ?? 0) + index)
      )
    assert.deepEqual(
      numbers.flat().sort((a, b) => a - b),
      Array.from({ length: 120 }, (_, index) => index + 1)
    )
  })

  define('shows what one node appended to readers of the others once the append is fulfilled', async (given) => {
    const { one, two } = await nodes(given)
    for (const [index, text] of named('a', 10).entries()) {
      const [writer, reader] = index % 2 ? [one, two] : [two, one]
      const [receipt] = await writer.append([draft('u:alice', text)])
      const page = await readAll(reader, 'u:alice', { last: 1 })
      assert.deepEqual(
        page.events.map(({ id }) => id),
        [receipt?.id]
      )
    }
    const [first, second] = await Promise.all([one, two].map((node) => readAll(node, 'u:alice', 'oldest')))
    assert.deepEqual(second, first)
  })

  define('never dispatches an event on one node before a reader there sees it', async (given) => {
    const one = await given.log()
    const two = await given.secondNode(one)
    const reads: Promise<boolean>[] = []
    const listener = await given.listener(two, (events) => {
      for (const { data } of events)
        reads.push(begun(textsOf(two, 'u:alice').then((retained) => retained.includes(data))))
    })
    for (const text of named('a', 20)) await one.append([draft('u:alice', text)])
    await listener.met('a20')
    assert.deepEqual(await Promise.all(reads), Array(20).fill(true))
  })

  define('appends one event when several nodes come with the same key', async (given) => {
    const { one, two, listeners } = await nodes(given)
    const answers = await Promise.all(
      named('', 10).map((text, index) =>
        (index % 2 ? one : two).append([draft('u:alice', text, { idempotency: idempotent('k'), streams: index })])
      )
    )
    const receipts = answers.flat()
    const [first] = receipts.filter(({ isRepeat }) => !isRepeat)
    assert.deepEqual(
      receipts.filter(({ isRepeat }) => isRepeat),
      Array(9).fill({ ...first, isRepeat: true })
    )
    await one.append([draft('u:alice', 'end')])
    for (const listener of listeners) {
      await listener.met('end')
      assert.equal(listener.events.length, 2)
    }
  })

  define('resumes on one node a stream of another node, and reports the same gaps', async (given) => {
    const one = await given.log({ user: 3 })
    const two = await given.secondNode(one)
    const cursors = [await headOf(one), await headOf(two)]
    for (const [index, text] of named('a', 8).entries()) {
      await (index % 2 ? one : two).append([draft('u:alice', text), draft('u:bob', text)])
      cursors.push(await headOf(index % 3 ? one : two))
    }
    for (const cursor of cursors) {
      const [first, second] = await Promise.all([one, two].map((node) => readAll(node, 'u:alice', cursor)))
      assert.deepEqual(second, first)
      assert.equal(first?.gap, cursor.seq < 9 ? 'evicted' : undefined)
    }
  })

  define('collapses with what other nodes appended', async (given) => {
    const { one, two } = await nodes(given)
    await one.append([draft('u:alice', 'p1', { collapseKey: 'p' })])
    await two.append([draft('u:alice', 'p2', { collapseKey: 'p' })])
    await one.append([draft('u:alice', 'p3', { collapseKey: 'p' })])
    assert.deepEqual(await textsOf(two, 'u:alice'), ['p3'])
  })

  define('goes on when another node is closed, and lets a new one join', async (given) => {
    const { one, two, listeners } = await nodes(given)
    await one.append([draft('u:alice', 'a')])
    await one.close()
    await two.append([draft('u:alice', 'b')])
    const three = await given.secondNode(two)
    const joined = await given.listener(three)
    assert.deepEqual(await textsOf(three, 'u:alice'), ['a', 'b'])
    await three.append([draft('u:alice', 'c')])
    for (const listener of [listeners[1], joined]) await listener?.met('c')
    assert.deepEqual(listeners[1]?.texts, ['a', 'b', 'c'])
    assert.deepEqual(joined.texts, ['c'])
    assert.deepEqual(seqs(await readAll(two, 'u:alice', 'oldest')), [1, 2, 3])
  })
}

/** Two nodes over one store, and a listener on each. */
export async function nodes<Log extends EventLog>(
  given: Given<Log>
): Promise<{ one: Log; two: Log; listeners: Listener[] }> {
  const one = await given.log()
  const two = await given.secondNode(one)
  return { one, two, listeners: [await given.listener(one), await given.listener(two)] }
}
