import t from 'tap'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import type { FakeSink } from '../support/fake-sink.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { startHub } from '../support/test-hub.ts'
import { until } from '../support/test-node.ts'

const dataOf = (sink: FakeSink) => sink.published.map(({ data }) => data)

t.test('over two nodes, a stream that has just opened gets every event', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const here = await startHub(t, await redisHub({ url: server.url }))
  const there = await startHub(t, await redisHub({ url: server.url }))
  for (let at = 0; at < 150; at++) await there.hub.send('alice', { data: `old ${at}` })
  const old = Array.from({ length: 150 }, (_, at) => `old ${at}`)

  await t.test('sent by its own node in the listener of "open"', async (t) => {
    const sent: Promise<unknown>[] = []
    const listener = () => {
      sent.push(here.hub.send('alice', { data: 'T1', transient: true }), here.hub.send('alice', { data: 'E1' }))
      sent.push(here.hub.send('alice', { data: 'T2', transient: true }))
    }
    here.hub.on('open', listener)
    const { sink, stream } = await here.openPrepared({ from: 'oldest' })
    here.hub.off('open', listener)
    await Promise.all(sent)
    await until(
      () => dataOf(sink).length,
      (count) => count >= 153,
      'all events'
    )
    t.equal(sink.events[0]?.event, 'hub.welcome')
    t.same(dataOf(sink), [...old, 'T1', 'E1', 'T2'])
    stream.close()
  })

  await t.test('sent by another node at once', async (t) => {
    const { sink, stream } = await here.openPrepared({ user: 'bob', from: 'oldest' })
    await there.hub.send('bob', { data: 'T1', transient: true })
    await there.hub.send('bob', { data: 'E1' })
    await there.hub.broadcast({ data: 'T2', transient: true })
    await until(
      () => dataOf(sink).length,
      (count) => count >= 3,
      'all events'
    )
    t.equal(sink.events[0]?.event, 'hub.welcome')
    t.same(dataOf(sink), ['T1', 'E1', 'T2'])
    stream.close()
  })

  await t.test('sent to the stream alone', async (t) => {
    const { sink, stream } = here.open({ from: 'oldest' })
    const isTaken = stream.send({ data: 'S1' })
    await there.hub.send('alice', { data: 'E2' })
    t.equal(await isTaken, true)
    await until(
      () => dataOf(sink).length,
      (count) => count >= 153,
      'all events'
    )
    t.same(dataOf(sink), [...old, 'E1', 'S1', 'E2'])
    stream.close()
  })
})
