import t from 'tap'
import { startHub } from '../support/test-hub.ts'

t.test('during a drain delay the hub is not ready but still serves', async (t) => {
  const { hub, clock, open } = await startHub(t)
  const { stream } = open()
  t.equal(await hub.ready(), true)
  const drained = hub.drain({ delay: 5_000 })
  t.equal(await hub.ready(), false)
  clock.advance(4_999)
  const { stream: late, sink } = open({ user: 'bob' })
  t.match(await hub.send('bob', { data: 'still served' }), { streams: 1 })
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(sink.parser.events.at(-1)?.data, 'still served')
  t.notOk(stream.signal.aborted || late.signal.aborted)
  clock.advance(1)
  await drained
  t.ok(stream.signal.aborted && late.signal.aborted)
  t.match(hub.stats(), { streams: 0, closed: { shutdown: 2 } })
  t.equal(await hub.ready(), false)
})

t.test('a drain without a delay ends the delay, and so does the shorter of two', async (t) => {
  const plain = await startHub(t)
  await plain.hub.drain()
  for (const hurry of [{}, { delay: 10 }]) {
    const { hub, clock, open } = await startHub(t)
    const { stream } = open()
    const drained = Promise.all([hub.drain({ delay: 60_000 }), hub.drain(hurry)])
    clock.advance(10)
    await drained
    t.ok(stream.signal.aborted)
    t.equal(clock.timers, plain.clock.timers, 'no timer of a delay is left')
  }
})

t.test('an invalid delay is refused, and changes nothing', async (t) => {
  const { hub } = await startHub(t)
  for (const delay of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 3_600_001, '5' as never]) {
    await t.rejects(hub.drain({ delay }), { code: 'SSE_HUB_ERR_INVALID_OPTION', message: /delay/ })
  }
  t.equal(await hub.ready(), true)
})
