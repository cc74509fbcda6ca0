import t, { type Test } from 'tap'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { effort } from '../support/effort.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { FakeSink } from '../support/fake-sink.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { startHub, type TestHub } from '../support/test-hub.ts'
import { until } from '../support/test-node.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
t.comment(`TEST_SEED=${SEED}`)
t.setTimeout(240_000)

const STREAM_OPTIONS = { heartbeatInterval: 15_000, maxStreamsPerUser: 0 }

async function startRedis(t: Test): Promise<RedisServer> {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  return server
}

const startNode = async (t: Test, url: string): Promise<TestHub> =>
  startHub(t, { ...(await redisHub({ url, timeout: 1_000 })), ...STREAM_OPTIONS })

const keyOf = async (server: RedisServer, name: string) =>
  ((await server.send(['KEYS', `{sse-hub}:*:${name}`])) as string[])[0] as string

/** The tails in Redis: for each id, the number of entries that the tail has had. */
async function tailsOf(server: RedisServer): Promise<Map<string, number>> {
  const rows = (await server.send(['HGETALL', await keyOf(server, 'tails')])) as string[] | Record<string, string>
  const pairs = Array.isArray(rows)
    ? rows.flatMap((id, index) => (index % 2 === 0 ? [[id, rows[index + 1] as string] as const] : []))
    : Object.entries(rows)
  return new Map(pairs.map(([id, row]) => [id, Number.parseInt(row, 10)]))
}

const dataOf = (sink: FakeSink) => sink.published.map(({ data }) => data)

t.test('an event comes only to nodes with a stream for it', { skip: withoutRedis }, async (t) => {
  const server = await startRedis(t)
  const here = await startNode(t, server.url)
  const there = await startNode(t, server.url)
  const { sink } = await here.openPrepared({ topics: ['news'] })
  const { sink: bob } = await there.openPrepared({ user: 'bob' })
  // The names of both tails, in the order of the nodes.
  const before = await tailsOf(server)
  t.equal(before.size, 2)
  for (let at = 0; at < 20; at++) {
    await there.hub.send('alice', { data: `user ${at}` })
    await there.hub.publish('news', { data: `topic ${at}` })
    await there.hub.publish('nobody listens', { data: 'x' })
  }
  await until(
    () => dataOf(sink).length,
    (count) => count === 40,
    'the events of alice'
  )
  t.same([...(await tailsOf(server)).values()].sort(), [0, 40])
  await there.hub.broadcast({ data: 'all' })
  for (const each of [sink, bob])
    await until(
      () => dataOf(each).at(-1),
      (data) => data === 'all',
      'the event for everyone'
    )
  t.same(dataOf(bob), ['all'])
  const head = here.hub.log.stats().head
  t.equal(head, 61)
})

t.test('the heartbeat of a node without events carries the head of the log', { skip: withoutRedis }, async (t) => {
  const server = await startRedis(t)
  const here = await startNode(t, server.url)
  const there = await startNode(t, server.url)
  const { sink } = await here.openPrepared()
  await until(
    () => sink.events.length,
    (count) => count === 1,
    'the welcome'
  )
  for (let at = 0; at < 10; at++) await there.hub.send('bob', { data: 'x' })
  await until(
    () => here.hub.cursor(),
    (cursor) => cursor === there.hub.cursor(),
    'the head of the other node'
  )
  here.clock.advance(20_000)
  const heartbeat = sink.events.find(({ event }) => event === 'hub.heartbeat')
  t.equal(heartbeat?.id, there.hub.cursor())
  const { sink: fresh } = await here.openPrepared({ user: 'bob' })
  await there.hub.send('bob', { data: 'y' })
  await until(
    () => dataOf(fresh).length,
    (count) => count > 0,
    'the event after the opening'
  )
  t.same(dataOf(fresh), ['y'], 'and none from before')
})

t.test(
  'an interest ends some time after its last stream, and a reload costs Redis nothing',
  { skip: withoutRedis },
  async (t) => {
    const server = await startRedis(t)
    const clock = new FakeClock()
    const log = await redisLog({ url: server.url, clock })
    const node = await startHub(t, { log, clock })
    const { stream } = await node.openPrepared()
    const interest = await keyOf(server, 'interest')
    const registered = async () => Number(await server.send(['HEXISTS', interest, 'u:alice']))
    t.equal(await registered(), 1)
    stream.close()
    clock.advance(20_000)
    t.equal(node.hub.manager.prepare({ user: 'alice' }), undefined, 'its events still come')
    node.hub.manager.forgo({ user: 'alice' })
    clock.advance(20_000)
    t.equal(await registered(), 1)
    clock.advance(20_000)
    await until(registered, (count) => count === 0, 'the end of the interest')
    t.ok(node.hub.manager.prepare({ user: 'alice' }) instanceof Promise)
  }
)

t.test('Redis may lose what it knows of the nodes', { skip: withoutRedis }, async (t) => {
  for (const name of ['interest', 'tails', 'tail:*'])
    await t.test(`by the deletion of ${name}`, async (t) => {
      const server = await startRedis(t)
      const here = await startNode(t, server.url)
      const there = await startNode(t, server.url)
      const { sink } = await here.openPrepared({ topics: ['news'] })
      await there.hub.send('alice', { data: 'a' })
      for (const key of (await server.send(['KEYS', `{sse-hub}:*:${name}`])) as string[])
        await server.send(['DEL', key])
      for (const data of ['b', 'c']) await there.hub.send('alice', { data })
      await there.hub.publish('news', { data: 'd' })
      await until(
        () => dataOf(sink).length,
        (count) => count >= 4,
        'all events'
      )
      await there.hub.send('alice', { data: 'e' })
      await until(
        () => dataOf(sink).length,
        (count) => count >= 5,
        'the next event'
      )
      t.same(dataOf(sink), ['a', 'b', 'c', 'd', 'e'])
    })

  await t.test('by a failover that has lost a registration alone', async (t) => {
    const server = await startRedis(t)
    const here = await startNode(t, server.url)
    const there = await startNode(t, server.url)
    await here.openPrepared({ user: 'bob' })
    await there.hub.send('bob', { data: 'x' })
    const goBack = await server.snapshot('{sse-hub}:*')
    const { sink } = await here.openPrepared()
    await goBack()
    t.equal(await server.send(['HEXISTS', await keyOf(server, 'interest'), 'u:alice']), 0)
    await there.hub.send('alice', { data: 'a' })
    await until(
      () => dataOf(sink).length,
      (count) => count >= 1,
      'the event'
    )
    await there.hub.send('alice', { data: 'b' })
    await until(
      () => dataOf(sink).length,
      (count) => count >= 2,
      'the next event'
    )
    t.same(dataOf(sink), ['a', 'b'])
  })
})

t.test('a stream that opens while Redis is away misses nothing from then on', { skip: withoutRedis }, async (t) => {
  const server = await startRedis(t)
  const proxy = await FaultProxy.start(server.port)
  t.teardown(() => proxy.close())
  const here = await startNode(t, proxy.url)
  const there = await startNode(t, server.url)
  const { sink: old } = await here.openPrepared({ user: 'bob' })
  proxy.cut()
  await until(
    () => here.hub.ready(),
    (isReady) => !isReady,
    'the loss of Redis'
  )
  const { sink } = await here.openPrepared()
  await until(
    () => sink.events.length,
    (count) => count === 1,
    'the welcome'
  )
  for (const data of ['a', 'b']) {
    await there.hub.send('alice', { data })
    await there.hub.send('bob', { data })
  }
  proxy.restore()
  for (const each of [sink, old])
    await until(
      () => dataOf(each).length,
      (count) => count >= 2,
      'the events'
    )
  await there.hub.send('alice', { data: 'c' })
  await until(
    () => dataOf(sink).length,
    (count) => count >= 3,
    'the next event'
  )
  t.same(
    [dataOf(sink), dataOf(old)],
    [
      ['a', 'b', 'c'],
      ['a', 'b']
    ]
  )
})

t.test('the tails of nodes that read nothing are bounded, and end', { skip: withoutRedis }, async (t) => {
  const server = await startRedis(t)
  const proxy = await FaultProxy.start(server.port)
  t.teardown(() => proxy.close())
  const MAX = 100_000
  const open = (url: string) => redisLog({ url, tailBytes: MAX, timeout: 1_000 })
  const [here, away] = [await open(server.url), await open(proxy.url)]
  t.teardown(() => Promise.all([here.close(), away.close()]))
  for (const log of [here, away]) await log.tail({ onEvents: () => {}, onDiscontinuity: () => {} })
  proxy.cut()
  const event = {
    channels: ['u:alice'] as Channel[],
    event: 'message',
    data: 'x'.repeat(1_000),
    transient: false,
    final: false as const,
    streams: 0
  }
  const kept = async () => Number(await server.send(['HGET', '{sse-hub}:state', 'tail']))
  for (let at = 0; at < 50; at++) {
    await here.append(Array.from({ length: 20 }, () => event))
    t.ok((await kept()) <= MAX + 25_000)
  }
  const tails = await keyOf(server, 'tails')
  for (const id of (await tailsOf(server)).keys()) {
    const row = String(await server.send(['HGET', tails, id])).split(' ')
    await server.send(['HSET', tails, id, [...row.slice(0, 3), '1000', ...row.slice(4)].join(' ')])
  }
  await until(
    async () => (await tailsOf(server)).size,
    (size) => size === 1,
    'the end of the lease'
  )
  await until(kept, (bytes) => bytes < 1_000, 'an empty tail')
})

interface Client {
  readonly user: string
  readonly topics: readonly string[]
  readonly got: string[]
  sink: FakeSink | undefined
  seen: number
  /** Counts its openings: it may leave before a stream is open. */
  openings: number
  close: (() => void) | undefined
  lastEventId: string | undefined
}

/** Takes the events that have come to a client. */
function take(client: Client): void {
  const events = client.sink?.events ?? []
  for (; client.seen < events.length; client.seen++) {
    const { event, data, lastEventId } = events[client.seen] as (typeof events)[number]
    if (event === 'hub.gap') throw new Error(`${client.user} got a gap: ${data}`)
    if (!event.startsWith('hub.')) client.got.push(data)
    if (lastEventId !== '') client.lastEventId = lastEventId
  }
}

t.test(
  'every client gets every event once, while nodes, connections and interests are lost',
  { skip: withoutRedis },
  async (t) => {
    for (let run = 0; run < effort(1, 10); run++) {
      const random = new Random(SEED + run)
      const server = await startRedis(t)
      const proxies = await Promise.all([0, 1, 2].map(() => FaultProxy.start(server.port)))
      t.teardown(() => Promise.all(proxies.map((proxy) => proxy.close())))
      const nodes = await Promise.all(proxies.map((proxy) => startNode(t, proxy.url)))
      const publisher = await startNode(t, server.url)
      const USERS = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank']
      const TOPICS = ['news', 'sport', 'weather']
      const clients = Array.from(
        { length: 12 },
        (_, at): Client => ({
          user: USERS[at % USERS.length] as string,
          topics: TOPICS.filter(() => random.chance(0.4)),
          got: [],
          sink: undefined,
          seen: 0,
          openings: 0,
          close: undefined,
          lastEventId: undefined
        })
      )
      const open = async (client: Client, node: TestHub) => {
        const { user, topics, lastEventId } = client
        const start = lastEventId === undefined ? { from: 'oldest' as const } : { lastEventId }
        const opening = ++client.openings
        const { sink, stream } = await node.openPrepared({ user, topics, ...start })
        if (opening !== client.openings) return void stream.close('client')
        client.sink = sink
        client.seen = 0
        client.close = () => stream.close('client')
      }
      const close = (client: Client) => {
        client.openings++
        client.close?.()
        take(client)
        client.sink = undefined
        client.close = undefined
      }
      let count = 0
      for (let step = 0; step < 300; step++) {
        const client = random.pick(clients)
        const at = random.from(0, 2)
        const action = random.weighted({ publish: 60, move: 20, heartbeat: 5, cut: 4, flush: 1, lose: 2, pause: 8 })
        if (action === 'publish') {
          const data = `${count++}`
          const chance = random.next()
          if (chance < 0.6) await publisher.hub.send(random.pick(USERS), { data })
          else if (chance < 0.9) await publisher.hub.publish(random.pick(TOPICS), { data })
          else await publisher.hub.broadcast({ data })
        } else if (action === 'move') {
          close(client)
          if (random.chance(0.8)) void open(client, nodes[at] as TestHub).catch((error) => t.fail(String(error)))
          await new Promise((resolve) => setImmediate(resolve))
        } else if (action === 'heartbeat') (nodes[at] as TestHub).clock.advance(16_000)
        else if (action === 'cut') {
          proxies[at]?.cut()
          setTimeout(() => proxies[at]?.restore(), random.from(1, 150))
        } else if (action === 'flush') await server.send(['SCRIPT', 'FLUSH'])
        else if (action === 'lose') {
          const key = await keyOf(server, random.pick(['interest', 'tails', 'tail:*']))
          if (key !== undefined) await server.send(['DEL', key])
        } else await new Promise((resolve) => setTimeout(resolve, random.from(1, 30)))
        for (const each of clients) take(each)
      }
      for (const proxy of proxies) proxy.restore()
      for (const client of clients) {
        close(client)
        client.close = undefined
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
      for (const client of clients) await open(client, publisher)
      await publisher.hub.broadcast({ data: 'end' })
      for (const client of clients) {
        await until(
          () => {
            take(client)
            return client.got.at(-1)
          },
          (data) => data === 'end',
          `the end at ${client.user} of run ${SEED + run}`
        )
        const channels = ['everyone', `u:${client.user}`, ...client.topics.map((topic) => `t:${topic}`)] as Channel[]
        const { events } = await publisher.hub.log.read({ channels, from: 'oldest', limit: 10_000 })
        t.same(
          client.got,
          events.map(({ data }) => data),
          `${client.user}, seed ${SEED + run}`
        )
      }
    }
  }
)
