import assert from 'node:assert/strict'
import type { EventLog, HealthCheck } from '../services/event-log/event-log.ts'
import { type Define, draft, headOf, idempotent, named, readAll, texts, textsOf } from './given.ts'
import { nodes } from './sharing.ts'

/** A node that loses the connection to its store, and reconnects. */
export function cutting<Log extends EventLog>(define: Define<Log>): void {
  define('dispatches events that were appended while its connection was cut, after it reconnects', async (given) => {
    const { one, two, listeners } = await nodes(given)
    await one.append([draft('u:alice', 'before')])
    await listeners[0]?.met('before')
    const mend = await given.cut(one)
    await two.append(named('a', 10).map((text) => draft('u:alice', text)))
    await listeners[1]?.met('a10')
    await mend()
    await two.append([draft('u:alice', 'end')])
    await listeners[0]?.met('end')
    assert.deepEqual(listeners[0]?.texts, ['before', ...named('a', 10), 'end'])
    assert.deepEqual(listeners[0]?.discontinuities, [])
  })

  define(
    'reports a discontinuity when more was appended while its connection was cut than is retained',
    async (given) => {
      const one = await given.log({ user: 5, topic: 5, everyone: 5 })
      const two = await given.secondNode(one)
      const [cutOff, other] = [await given.listener(one), await given.listener(two)]
      await one.append([draft('u:alice', 'before')])
      await cutOff.met('before')
      const mend = await given.cut(one)
      for (let batch = 0; batch < 15; batch++) {
        await two.append(named(`${batch}/`, 100).map((text) => draft('u:alice', text)))
        await other.met(`${batch}/100`)
      }
      await mend()
      await two.append([draft('u:alice', 'end')])
      // Events that are no longer retained for readers may still be in the tail: then all of them arrive, else a discontinuity.
      await cutOff.until(
        () => cutOff.texts.includes('end') || cutOff.discontinuities.length > 0,
        'a discontinuity, or all events'
      )
      if (cutOff.discontinuities.length === 0)
        return assert.deepEqual(cutOff.texts, ['before', ...other.texts.slice(1)])
      await two.append([draft('u:alice', 'last')])
      await cutOff.met('last')
      const position = cutOff.discontinuities.at(-1)
      assert.ok(position && position.seq > 1)
      const dispatched = cutOff.seqs.filter((seq) => seq > position.seq)
      assert.deepEqual(
        dispatched,
        Array.from({ length: dispatched.length }, (_, index) => position.seq + 1 + index)
      )
      assert.deepEqual(
        cutOff.seqs,
        [...new Set(cutOff.seqs)].sort((a, b) => a - b)
      )
      assert.equal((await readAll(one, 'u:alice', position)).gap, undefined)
    }
  )

  define(
    'rejects appends while its connection is cut, in time and with a code, and repeats safely after',
    async (given) => {
      const { one, two } = await nodes(given)
      const start = await headOf(two)
      const mend = await given.cut(one)
      const event = draft('u:alice', 'a', { idempotency: idempotent('k') })
      await assert.rejects(one.append([event, draft('u:alice', 'b', { idempotency: idempotent('l') })]), {
        code: 'SSE_HUB_ERR_LOG_UNAVAILABLE'
      })
      const health: EventLog & Partial<HealthCheck> = one
      if (health.ready !== undefined) assert.equal(await health.ready(), false)
      await mend()
      await one.append([event, draft('u:alice', 'b', { idempotency: idempotent('l') })])
      assert.deepEqual(texts(await readAll(two, 'u:alice', start)), ['a', 'b'])
      if (health.ready !== undefined) assert.equal(await health.ready(), true)
    }
  )

  define('answers a reader while its connection is cut, or rejects in time and with a code', async (given) => {
    const { one } = await nodes(given)
    const start = await headOf(one)
    await one.append([draft('u:alice', 'a')])
    const mend = await given.cut(one)
    const retained = await readAll(one, 'u:alice', start).then(texts, (error) => error.code)
    if (retained !== 'SSE_HUB_ERR_LOG_UNAVAILABLE') assert.deepEqual(retained, ['a'])
    await mend()
    assert.deepEqual(texts(await readAll(one, 'u:alice', start)), ['a'])
  })

  define('can be closed while its connection is cut', async (given) => {
    const { one, two } = await nodes(given)
    const mend = await given.cut(one)
    const appending = one.append([draft('u:alice', 'a')]).catch((error) => assert.match(error.code, /^SSE_HUB_ERR_/))
    await one.close()
    await appending
    await mend()
    await two.append([draft('u:alice', 'b')])
    assert.equal((await textsOf(two, 'u:alice')).at(-1), 'b')
  })
}
