import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import { cursorOf, type Define, draft, headOf, named, readAll, texts } from './given.ts'

/** A store that lost acknowledged events, and uses their numbers again: cursors reveal it. */
export function rewinding<Log extends EventLog>(define: Define<Log>): void {
  define('knows the cursors of a tail that was lost, also once it has given their numbers again', async (given) => {
    const log = await given.log()
    await log.append(named('a', 3).map((text) => draft('u:alice', text)))
    const goBack = await given.rewinding(log)
    await log.append(named('lost', 3).map((text) => draft('u:alice', text)))
    const cursors = (await readAll(log, 'u:alice', 'oldest')).events.map(cursorOf)
    const found = await goBack()
    for (const lost of cursors.slice(3)) assert.equal((await readAll(found, 'u:alice', lost)).gap, 'diverged')
    await found.append(named('b', 5).map((text) => draft('u:alice', text)))
    // A log that was open during the loss records it, under a number of its own; one that was opened later cannot know it.
    const isRecorded = found === log
    assert.equal((await headOf(found)).seq, isRecorded ? 9 : 8)
    for (const lost of cursors.slice(3)) {
      const page = await readAll(found, 'u:alice', lost)
      assert.deepEqual([texts(page), page.gap], [[...named('a', 3), ...named('b', 5)], 'diverged'])
    }
    for (const [index, kept] of cursors.slice(0, 3).entries()) {
      const page = await readAll(found, 'u:alice', kept)
      const gap = isRecorded ? 'evicted' : undefined
      assert.deepEqual([texts(page), page.gap], [[...named('a', 3), ...named('b', 5)].slice(index + 1), gap])
    }
    assert.equal((await readAll(found, 'u:alice', await headOf(found))).gap, undefined)
  })

  define('reports a discontinuity to a listener when the tail that was lost had been dispatched', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    await log.append([draft('u:alice', 'a')])
    await listener.met('a')
    const goBack = await given.rewinding(log)
    await log.append([draft('u:alice', 'lost')])
    await listener.met('lost')
    const found = await goBack()
    // A log that was opened later has no listeners yet; one that was open during the loss has to notify them.
    if (found !== log) return
    await log.append([draft('u:alice', 'b'), draft('u:alice', 'c'), draft('u:alice', 'd')])
    await listener.until(() => listener.discontinuities.length > 0, 'a discontinuity')
    await log.append([draft('u:alice', 'end')])
    await listener.met('end')
    const position = listener.discontinuities.at(-1)
    assert.ok(position)
    const page = await readAll(log, 'u:alice', position)
    assert.equal(page.gap, undefined)
    assert.deepEqual(
      listener.texts.slice(-page.events.length),
      texts(page),
      'dispatches all events after the discontinuity'
    )
  })
}
