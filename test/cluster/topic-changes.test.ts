import t from 'tap'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import type { EventStream } from '../../services/streams/event-stream.ts'
import type { FakeSink } from '../support/fake-sink.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { startHub } from '../support/test-hub.ts'
import { until, untilSame } from '../support/test-node.ts'

const TOPICS = ['a', 'b', 'c']
const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

t.test('over two nodes that share a Redis', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const here = await startHub(t, await redisHub({ url: server.url }))
  const there = await startHub(t, await redisHub({ url: server.url }))
  const presence = async () => (await there.hub.presence('alice')).streams.map(({ topics }) => topics)
  const counts = () =>
    Promise.all(TOPICS.map(async (topic) => (await there.hub.publish(topic, { data: 'count' })).streams))

  await t.test('presence and receipts of the other node follow the topics, and forget a closed stream', async (t) => {
    const { stream } = here.open({ topics: ['a'] })
    await untilSame(presence, [['a']])
    await stream.subscribe(['b', 'c'])
    await untilSame(presence, [['a', 'b', 'c']])
    await stream.unsubscribe('a')
    await untilSame(presence, [['b', 'c']])
    t.same(await counts(), [0, 1, 1])
    await stream.subscribe('a')
    await stream.unsubscribe(['a', 'b'])
    stream.close()
    await untilSame(presence, [])
    await untilSame(counts, [0, 0, 0])
    t.same(await there.hub.online(), { users: [], next: null })
  })

  await t.test('random changes of many streams leave exact counts', async () => {
    const random = new Random(seed)
    const streams: EventStream[] = []
    for (let round = 0; round < 150; round++) {
      const step = random.weighted({ open: 2, subscribe: 4, unsubscribe: 4, close: 1, turn: 2 })
      const topics = TOPICS.filter(() => random.chance(0.4))
      if (step === 'open') streams.push(here.open({ topics }).stream)
      else if (step === 'turn') await new Promise((resolve) => setImmediate(resolve))
      else if (streams.length > 0) {
        const stream = random.pick(streams)
        if (step === 'subscribe') await stream.subscribe(topics)
        else if (step === 'unsubscribe') await stream.unsubscribe(topics)
        else {
          stream.close()
          streams.splice(streams.indexOf(stream), 1)
        }
      }
    }
    const sorted = (lists: (readonly string[])[]) => lists.map((list) => [...list].join()).sort()
    await untilSame(async () => sorted(await presence()), sorted(streams.map(({ topics }) => topics)))
    const expected = TOPICS.map((topic) => streams.filter(({ topics }) => topics.includes(topic)).length)
    await untilSame(counts, expected)
    for (const stream of streams) stream.close()
    await untilSame(counts, [0, 0, 0])
  })

  await t.test('under load from both nodes, no event is lost, repeated, or of before', async (t) => {
    const { stream, sink } = here.open({ user: 'bob', topics: ['a'] })
    const expected: string[] = []
    let isDone = false
    /** The round in which the topic is certainly subscribed to; 0 in between. */
    let subscribed = 0
    let published = 0
    const publisher = async (hub: typeof here.hub) => {
      while (!isDone) {
        const round = subscribed
        const data = `b${++published}`
        const { id } = await hub.publish('b', { data })
        // Between the call and the answer of a change, the event may be on either side of it.
        if (round > 0 && round === subscribed) expected.push(id)
        await hub.publish('a', { data: `a${published}` })
      }
    }
    const publishing = [publisher(here.hub), publisher(there.hub)]
    for (let round = 1; round <= 30; round++) {
      const before = `before ${round}`
      await there.hub.publish('b', { data: before })
      await stream.subscribe('b')
      subscribed = round
      await there.hub.publish('b', { data: `in ${round}` })
      subscribed = 0
      // A removal drops what a tail has not dispatched yet, so all that was published before has to arrive first.
      const ids = () => sink.published.map(({ lastEventId }) => lastEventId)
      await until(ids, (received) => expected.every((id) => received.includes(id)), `round ${round}`)
      await until(
        () => dataOf(sink),
        (received) => received.includes(`in ${round}`),
        `round ${round}`
      )
      await stream.unsubscribe('b')
      await there.hub.publish('b', { data: `after ${round}` })
    }
    isDone = true
    await Promise.all(publishing)
    const { id } = await there.hub.publish('a', { data: 'last' })
    await until(
      () => dataOf(sink),
      (received) => received.includes('last'),
      'the last event'
    )
    const received = sink.published.map(({ lastEventId }) => lastEventId)
    t.equal(received.at(-1), id)
    t.equal(new Set(received).size, received.length, 'none repeated')
    t.same(
      expected.filter((one) => !received.includes(one)),
      [],
      'none lost'
    )
    t.same(
      dataOf(sink).filter((data) => /before|after/.test(data)),
      [],
      'none of before or after'
    )
    t.equal(dataOf(sink).filter((data) => data.startsWith('a')).length, published, 'the other topic is undisturbed')
    t.ok(published > 50, `${published} events`)
    stream.close()
  })
})

function dataOf(sink: FakeSink): string[] {
  return sink.published.map(({ data }) => data)
}
