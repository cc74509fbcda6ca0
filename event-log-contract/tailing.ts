import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import type { LogEvent, NewEvent } from '../services/events/log-event.ts'
import { begun, type Define, draft, headOf, type Listener, named, readAll, texts, turn } from './given.ts'

/** The events that a tail dispatches, their order, and its listeners. */
export function tailing<Log extends EventLog>(define: Define<Log>): void {
  define('dispatches every event once, in order, as a reader finds it', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    for (let batch = 0; batch < 10; batch++) {
      await log.append(
        named(`${batch}/`, 9).map((text, index) =>
          draft(index % 2 ? 'u:alice' : ['t:news', 'everyone'], text, { final: index === 8 })
        )
      )
    }
    await log.append([draft('everyone', 'end')])
    await listener.met('end')
    assert.deepEqual(
      listener.seqs,
      Array.from({ length: 91 }, (_, index) => index + 1)
    )
    const { events } = await readAll(log, ['u:alice', 't:news', 'everyone'], 'oldest')
    assert.deepEqual(listener.events.map(plain), events.map(plain))
    assert.deepEqual(listener.discontinuities, [])
  })

  define('dispatches events in order when many are appended at the same time', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    await Promise.all(
      named('', 30).map((name) => log.append(named(`${name}/`, 4).map((text) => draft('t:busy', text))))
    )
    await log.append([draft('t:busy', 'end')])
    await listener.met('end')
    assert.deepEqual(listener.texts, texts(await readAll(log, 't:busy', 'oldest')))
  })

  define('begins after the position that it returns', async (given) => {
    const log = await given.log()
    await log.append(named('before ', 3).map((text) => draft('u:alice', text)))
    const listener = await given.listener(log)
    assert.deepEqual(listener.position, await headOf(log))
    await log.append([draft('u:alice', 'after'), draft('u:alice', 'end')])
    await listener.met('end')
    assert.deepEqual(listener.texts, ['after', 'end'])
    const page = await readAll(log, 'u:alice', listener.position)
    assert.deepEqual([texts(page), page.gap], [['after', 'end'], undefined])
  })

  define('dispatches events that are appended while it begins exactly once', async (given) => {
    const log = await given.log()
    const appends: Promise<unknown>[] = []
    const append = (text: string) =>
      appends.push(begun(log.append([draft('t:busy', text), draft('t:busy', `${text}'`)])))
    named('a', 5).forEach(append)
    const beginning = [begun(given.listener(log))]
    for (const text of named('b', 10)) {
      append(text)
      beginning.push(begun(given.listener(log)))
      await Promise.resolve()
      append(`${text}+`)
    }
    const listeners = await Promise.all(beginning)
    named('c', 5).forEach(append)
    await Promise.all(appends)
    await log.append([draft('t:busy', 'end')])
    for (const listener of listeners) {
      await listener.met('end')
      assert.deepEqual(listener.texts, texts(await readAll(log, 't:busy', listener.position)))
    }
  })

  define('dispatches a transient event in order among the others', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    const transient = { transient: true }
    await log.append([draft('u:alice', '1', transient), draft('u:alice', '2'), draft('u:bob', '3', transient)])
    await log.append([draft('u:alice', '4', transient)])
    await log.append([
      draft('u:alice', '5'),
      draft('u:alice', '6', { ...transient, event: 'typing' }),
      draft('u:alice', '7')
    ])
    await listener.met('7')
    assert.deepEqual(listener.texts, ['1', '2', '3', '4', '5', '6', '7'])
    assert.deepEqual(
      listener.events.map((event) => event.cursor?.seq ?? null),
      [null, 1, null, null, 2, null, 3]
    )
    const sixth = listener.events[5]
    assert.deepEqual([sixth?.id, sixth?.event, sixth?.channels, sixth?.final], [null, 'typing', ['u:alice'], false])
  })

  define('never dispatches an event before a reader sees it', async (given) => {
    const log = await given.log()
    const reads: Promise<boolean>[] = []
    const isShown = async (event: LogEvent) => texts(await readAll(log, event.channels, 'oldest')).includes(event.data)
    const listener = await given.listener(log, (events) => reads.push(...events.map((event) => begun(isShown(event)))))
    for (let batch = 0; batch < 10; batch++) {
      await log.append(named(`${batch}/`, 3).map((text) => draft(['u:alice', 't:news'], text)))
    }
    await listener.met('9/3')
    assert.deepEqual(await Promise.all(reads), Array(30).fill(true))
  })

  define('dispatches every event to each of several listeners', async (given) => {
    const log = await given.log()
    const listeners: Listener[] = []
    for (const text of named('a', 5)) {
      const listener = await given.listener(log)
      listeners.push(listener)
      await log.append([draft('u:alice', text)])
      // A tail begins after the position that it returns, which may be before an event that no tail has dispatched yet.
      await listener.met(text)
    }
    for (const [index, listener] of listeners.entries()) {
      await listener.met('a5')
      assert.deepEqual(listener.texts, named('a', 5).slice(index))
    }
  })

  define('dispatches nothing after it has been stopped, while others continue', async (given) => {
    const log = await given.log()
    const [stopped, other] = [await given.listener(log), await given.listener(log)]
    await log.append([draft('u:alice', 'a')])
    await stopped.met('a')
    await stopped.tail?.stop()
    await stopped.tail?.stop()
    await log.append([draft('u:alice', 'b')])
    await other.met('b')
    await log.append([draft('u:alice', 'c')])
    await other.met('c')
    assert.deepEqual(stopped.texts, ['a'])
    assert.deepEqual(other.texts, ['a', 'b', 'c'])
  })

  define('can be stopped by the listener that is being called', async (given) => {
    const log = await given.log()
    let stopped: Promise<void> | undefined
    const stopping = await given.listener(log, () => {
      stopped ??= stopping.tail?.stop()
    })
    const other = await given.listener(log)
    await log.append([draft('u:alice', 'a')])
    await stopping.met('a')
    await stopped
    for (const text of ['b', 'c']) {
      await log.append([draft('u:alice', text)])
      await other.met(text)
    }
    assert.deepEqual(stopping.texts, ['a'])
  })

  define('dispatches events that a listener appends after the current ones, to every listener', async (given) => {
    const log = await given.log()
    let depth = 0
    let deepest = 0
    const appends: Promise<unknown>[] = []
    const echo = (events: readonly LogEvent[]) => {
      deepest = Math.max(deepest, ++depth)
      for (const { data } of events) {
        if (data.length < 4)
          appends.push(begun(log.append([draft('u:alice', `${data}a`), draft('u:alice', `${data}b`)])))
      }
      depth--
    }
    const listeners = [await given.listener(log), await given.listener(log, echo), await given.listener(log)]
    await log.append([draft('u:alice', '1'), draft('u:alice', '2')])
    // Two events, with 2 + 4 + 8 echoes each.
    for (const listener of listeners) await listener.until(() => listener.events.length >= 30, 'thirty events')
    await Promise.all(appends)
    await log.append([draft('u:alice', 'the end')])
    const order = texts(await readAll(log, 'u:alice', 'oldest'))
    assert.equal(order.length, 31)
    for (const listener of listeners) {
      await listener.met('the end')
      assert.deepEqual(listener.texts, order)
    }
    assert.equal(deepest, 1, 'a listener is not called while it is being called')
  })

  define(
    'leaves out nothing between what a reader who is fed by the tail is given and is handed next',
    async (given) => {
      const log = await given.log()
      const listener = await given.listener(log)
      const appends = named('a', 50).map((text) =>
        begun(log.append([draft('t:busy', text), draft('t:busy', `${text}'`)]))
      )
      for (let dispatched: string[] = []; dispatched.length < 100; await turn()) {
        dispatched = listener.texts
        const query = { channels: ['t:busy'], from: listener.position, limit: 1_000, isTailed: true } as const
        const page = await log.read(query)
        assert.deepEqual([page.gap, page.remaining], [undefined, 0])
        assert.deepEqual(texts(page).slice(0, dispatched.length), dispatched)
        assert.equal(page.next.seq, listener.position.seq + page.events.length)
      }
      await Promise.all(appends)
    }
  )

  define('begins after its position also for a listener that begins while another is being called', async (given) => {
    const log = await given.log()
    const later: Promise<Listener>[] = []
    const appends: Promise<unknown>[] = []
    const first = await given.listener(log, (events) => {
      if (!events.some(({ data }) => data === 'a')) return
      later.push(begun(given.listener(log)))
      appends.push(begun(log.append([draft('u:alice', 'c')])))
      later.push(begun(given.listener(log)))
    })
    await log.append([draft('u:alice', 'a'), draft('u:alice', 'b')])
    await first.met('c')
    await Promise.all(appends)
    const latecomers = await Promise.all(later)
    await log.append([draft('u:alice', 'end')])
    for (const listener of latecomers) {
      await listener.met('end')
      assert.deepEqual(listener.texts, texts(await readAll(log, 'u:alice', listener.position)))
    }
    assert.equal(latecomers.length, 2)
  })

  define('dispatches events that are retained briefly, or not at all', async (given) => {
    const log = await given.log({ user: 1, topic: 0 })
    const listener = await given.listener(log)
    const events: NewEvent[] = named('a', 5).map((text) => draft('u:alice', text))
    await log.append([...events, draft('t:news', 'b'), draft('everyone', 'end')])
    await listener.met('end')
    assert.deepEqual(listener.texts, [...named('a', 5), 'b', 'end'])
    assert.deepEqual(listener.seqs, [1, 2, 3, 4, 5, 6, 7])
  })
}

/** The event without its frame, which is the hub's. */
function plain({ frame: _frame, ...event }: LogEvent): Record<string, unknown> {
  const { cursor, id, channels, event: name, data, time, final, except, trace } = event
  return { cursor, id, channels, name, data, time, final, except, trace }
}
