import assert from 'node:assert/strict'
import type { EventLog, HealthCheck } from '../services/event-log/event-log.ts'
import type { LogEvent } from '../services/events/log-event.ts'
import { begun, type Define, draft, headOf, named, readAll, turn } from './given.ts'

const CLOSED = { code: 'SSE_HUB_ERR_CLOSED' }

/** The end of a log. */
export function closing<Log extends EventLog>(define: Define<Log>): void {
  define('may be closed again, and at the same time', async (given) => {
    const log = await given.log()
    await log.append([draft('u:alice', 'a')])
    await Promise.all([log.close(), log.close()])
    await log.close()
  })

  define('may be closed before anything was done with it', async (given) => {
    const log = await given.log()
    await log.close()
  })

  define('refuses to append and to listen when it is closed, with the code of the error', async (given) => {
    const log = await given.log()
    await log.close()
    await assert.rejects(log.append([draft('u:alice', 'a')]), CLOSED)
    await assert.rejects(log.append([draft('u:alice', 'a', { transient: true })]), CLOSED)
    await assert.rejects(log.tail({ onEvents: () => {}, onDiscontinuity: () => {} }), CLOSED)
  })

  define('answers a reader when it is closed, or refuses with the code of the error', async (given) => {
    const log = await given.log()
    const head = await headOf(log)
    await log.close()
    const answer = readAll(log, 'u:alice', head).then(({ gap }) => gap)
    await answer.then(
      (gap) => assert.equal(gap, undefined),
      (error) => assert.equal(error.code, CLOSED.code)
    )
  })

  define('calls no listener any more once it is closed', async (given) => {
    const log = await given.log()
    let isClosed = false
    const late: string[] = []
    const note = (events: readonly LogEvent[]) => {
      if (isClosed) late.push(...events.map(({ data }) => data))
    }
    for (let count = 0; count < 3; count++) await given.listener(log, note)
    const appends = named('a', 20).map((text) => begun(log.append([draft('u:alice', text)])))
    await log.close()
    isClosed = true
    await Promise.allSettled(appends)
    await turn()
    assert.deepEqual(late, [])
  })

  define('settles every append that it was closed over: done, or refused with a code', async (given) => {
    const log = await given.log()
    const appends = named('a', 20).map((text) => begun(log.append([draft('u:alice', text)])))
    await log.close()
    for (const { status, ...outcome } of await given.inTime(Promise.allSettled(appends), 'appends to settle')) {
      if (status === 'rejected')
        assert.match((outcome as PromiseRejectedResult).reason.code, /^SSE_HUB_ERR_(CLOSED|LOG_UNAVAILABLE)$/)
    }
  })

  define('can be closed by a listener that is being called', async (given) => {
    const log = await given.log()
    let closed: Promise<void> | undefined
    const closer = await given.listener(log, () => {
      closed ??= log.close()
    })
    await Promise.allSettled([log.append([draft('u:alice', 'a')]), log.append([draft('u:alice', 'b')])])
    await closer.until(() => closed !== undefined, 'the listener to close the log')
    await closed
    await assert.rejects(log.append([draft('u:alice', 'c')]), CLOSED)
  })

  define('lets a tail be stopped after it is closed', async (given) => {
    const log = await given.log()
    const listener = await given.listener(log)
    await log.close()
    await listener.tail?.stop()
  })

  define('is ready while it is open, if it reports its health', async (given) => {
    const log: EventLog & Partial<HealthCheck> = await given.log()
    if (log.ready === undefined) return
    assert.equal(await log.ready(), true)
    await log.close()
    assert.equal(await log.ready(), false)
  })

  define('leaves nothing running when it is closed', async (given) => {
    // The test's own timer starts first.
    await Promise.resolve()
    const before = process.getActiveResourcesInfo()
    for (let count = 0; count < 3; count++) {
      const log = await given.log()
      await given.listener(log)
      await log.append([draft('u:alice', 'a')])
      await readAll(log, 'u:alice', 'oldest')
      await given.clear()
    }
    // A closed socket disappears one or two turns of the event loop later.
    const until = performance.now() + given.patience
    while (more(before).length > 0 && performance.now() < until) await turn()
    assert.deepEqual(more(before), [])
  })
}

/** New resources that keep the event loop running. */
function more(before: readonly string[]): string[] {
  const running = process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate')
  for (const kind of before) if (running.includes(kind)) running.splice(running.indexOf(kind), 1)
  return running
}
