import t, { type Test } from 'tap'
import { NodeProcess } from '../support/node-process.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { until, untilSame } from '../support/test-node.ts'

// Each test starts three processes, which compile at start.
t.setTimeout(240_000)

const LEASE = 2_000

interface Cluster {
  readonly redis: RedisServer
  readonly nodes: NodeProcess[]
}

async function startCluster(t: Test, count: number, options: object = {}): Promise<Cluster> {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const start = () => NodeProcess.start(t, { url: redis.url, prefix: 'cluster', lease: LEASE, ...options })
  const nodes = await Promise.all(Array.from({ length: count }, start))
  return { redis, nodes }
}

/** Number of streams of a user, as a node counts them. */
function countOf(node: NodeProcess, user: string): Promise<number> {
  return node.get(`/users/${user}`).then(({ streams }) => (streams as unknown[] | undefined)?.length ?? -1)
}

async function untilCount(nodes: readonly NodeProcess[], user: string, count: number): Promise<void> {
  for (const node of nodes) await untilSame(() => countOf(node, user), count)
}

t.test('two nodes are one hub', { skip: withoutRedis }, async (t) => {
  const { nodes } = await startCluster(t, 2)
  const [one, two] = nodes as [NodeProcess, NodeProcess]
  const alice = [await one.client('alice', '&topics=news'), await two.client('alice', '&topics=news')]
  const bob = await two.client('bob')
  await untilCount(nodes, 'alice', 2)
  await untilCount(nodes, 'bob', 1)

  t.test('each counts and lists the streams of both', async (t) => {
    for (const node of nodes) {
      t.same(await node.get('/users'), {
        users: [
          { user: 'alice', streams: 2 },
          { user: 'bob', streams: 1 }
        ],
        next: null
      })
      t.match(await node.get('/users/alice'), { online: true, streams: [{ topics: ['news'] }, { topics: ['news'] }] })
      t.match(await node.get('/users/nobody'), { online: false, streams: [] })
      t.match(await node.call('POST', '/broadcast', { data: 'all' }), { status: 202, body: { streams: 3 } })
      t.match(await node.call('POST', '/users/alice/events', { data: 'hers' }), { body: { streams: 2 } })
      const keyed = { data: 'news', idempotencyKey: `k${node.url}` }
      t.match(await node.call('POST', '/topics/news/events', keyed), { body: { streams: 2 } })
    }
    const texts = ['all', 'hers', 'news', 'all', 'hers', 'news']
    for (const client of alice)
      t.same(
        (await client.count(6)).map(({ data }) => data),
        texts
      )
    t.same(
      (await bob.count(2)).map(({ data }) => data),
      ['all', 'all']
    )
  })

  t.test('a stream is closed from the other node, and reconnects to neither', async (t) => {
    const client = await two.client('carol')
    const { stream } = JSON.parse((await client.event('hub.welcome')).data)
    t.same(await one.call('DELETE', `/streams/${stream}`), { status: 200, body: { closed: 1 } })
    await client.end()
    t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"kicked","reconnect":false}' })
    for (const node of nodes) t.equal((await node.open('carol', '', client.lastEventId)).status, 204)
    t.same(await one.call('DELETE', `/streams/${stream}`), { status: 200, body: { closed: 0 } })
    await untilCount(nodes, 'carol', 0)
  })

  t.test('a user is closed on both', async (t) => {
    t.same(await two.call('DELETE', '/users/alice/streams?reconnect=true'), { status: 200, body: { closed: 2 } })
    for (const client of alice) {
      await client.end()
      t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"kicked","reconnect":true}' })
    }
    t.equal(bob.isEnded, false)
    await untilCount(nodes, 'alice', 0)
  })

  t.test('the welcome contains the users who are online on both, as of a moment ago', async (t) => {
    await one.client('dave')
    const online = async () => {
      const client = await one.client('eve')
      client.cut()
      return JSON.parse((await client.event('hub.welcome')).data).online
    }
    await until(online, ({ users, streams }) => users === 3 && streams >= 3, 'a welcome that knows of bob')
    t.pass('bob, dave and eve')
  })
})

t.test('limits per user hold over all nodes', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())

  t.test('the oldest is replaced, on any node', async (t) => {
    const options = { url: redis.url, prefix: 'replace', maxStreamsPerUser: 3 }
    const nodes = await Promise.all([1, 2].map(() => NodeProcess.start(t, options)))
    const clients = []
    for (const at of [0, 1, 0, 1, 1, 0]) {
      clients.push(await (nodes[at] as NodeProcess).client('alice'))
      await untilCount(nodes, 'alice', Math.min(clients.length, 3))
    }
    for (const client of clients.slice(0, 3)) {
      await client.end()
      t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"replaced","reconnect":false}' })
    }
    for (const client of clients.slice(3)) t.equal(client.isEnded, false)
  })

  t.test('of many simultaneous streams, exactly the limit is admitted', async (t) => {
    const options = { url: redis.url, prefix: 'reject', maxStreamsPerUser: 7, onUserLimit: 'reject' }
    const nodes = await Promise.all([1, 2, 3].map(() => NodeProcess.start(t, options)))
    const clients = await Promise.all(
      Array.from({ length: 30 }, (_, at) => (nodes[at % 3] as NodeProcess).open('alice'))
    )
    await Promise.all(clients.map((client) => client.until(() => client.events.length > 0, 'the first event')))
    const welcomed = clients.filter(({ events }) => events[0]?.event === 'hub.welcome')
    t.equal(welcomed.length, 7)
    const refused = clients.filter((client) => !welcomed.includes(client))
    for (const client of refused) t.match(client.events[0], { data: '{"reason":"limit","reconnect":true}' })
    await untilCount(nodes, 'alice', 7)
    for (const client of welcomed.slice(0, 3)) client.cut()
    await untilCount(nodes, 'alice', 4)
    t.equal((await (nodes[0] as NodeProcess).client('alice')).status, 200)
  })
})

t.test('a node that is killed is gone after its lease, and delays no other', { skip: withoutRedis }, async (t) => {
  const { redis, nodes } = await startCluster(t, 3)
  const [one, two, three] = nodes as [NodeProcess, NodeProcess, NodeProcess]
  for (const node of nodes) await node.client('alice')
  await two.client('bob')
  await untilCount([one, three], 'alice', 3)
  await untilCount([one, three], 'bob', 1)
  await two.end('SIGKILL')
  const killed = performance.now()
  const closing = await one.call('DELETE', '/users/carol/streams')
  t.same(closing, { status: 200, body: { closed: 0 } })
  t.ok(performance.now() - killed < 4_000, 'a dead node is not waited for long')
  await untilCount([one, three], 'bob', 0)
  t.ok(performance.now() - killed < LEASE + 3_000)
  await untilCount([one, three], 'alice', 2)
  t.same(await one.get('/users'), { users: [{ user: 'alice', streams: 2 }], next: null })
  const leftovers = async () =>
    ((await redis.send(['KEYS', '{cluster}:nodes:*'])) as string[]).filter((key) => key.includes('bob'))
  await untilSame(leftovers, [])
  await three.end('SIGTERM')
  await untilCount([one], 'alice', 1)
})

t.test(
  'after a kill each user goes offline once, unless the user returns elsewhere',
  { skip: withoutRedis },
  async (t) => {
    const { nodes } = await startCluster(t, 3, { presenceGrace: 5_000 })
    const [one, two, three] = nodes as [NodeProcess, NodeProcess, NodeProcess]
    const users = Array.from({ length: 20 }, (_, at) => `user-${at}`)
    await one.client('witness')
    await Promise.all(users.map((user) => two.client(user)))
    const reports = () => nodes.flatMap(({ presence }) => presence).sort()
    const online = ['witness', ...users].map((user) => `online ${user}`).sort()
    await untilSame(async () => reports(), online)
    await two.end('SIGKILL')
    const [returned, gone] = [users.slice(0, 10), users.slice(10)]
    await Promise.all(returned.map((user) => three.client(user)))
    const offline = gone.map((user) => `offline ${user}`).sort()
    await untilSame(async () => reports().filter((report) => report.startsWith('offline')), offline)
    await three.client('last')
    await untilSame(async () => reports(), [...online, 'online last', ...offline].sort())
  }
)

t.test('a node that was suspended for longer than its lease is counted again', { skip: withoutRedis }, async (t) => {
  const { nodes } = await startCluster(t, 2)
  const [one, two] = nodes as [NodeProcess, NodeProcess]
  const client = await two.client('alice')
  const kept = await two.client('bob')
  await untilCount([one], 'alice', 1)
  two.freeze()
  await untilCount([one], 'alice', 0)
  t.same(await one.call('DELETE', '/users/alice/streams'), { status: 200, body: { closed: 0 } })
  two.thaw()
  await client.end()
  t.match(client.events.at(-1), { data: '{"reason":"kicked","reconnect":false}' }, 'it obeys late rather than never')
  await untilCount(nodes, 'bob', 1)
  await untilCount(nodes, 'alice', 0)
  t.equal(kept.isEnded, false)
})

t.test('after Redis has lost everything, online users are known again', { skip: withoutRedis }, async (t) => {
  const { redis, nodes } = await startCluster(t, 2)
  const [one, two] = nodes as [NodeProcess, NodeProcess]
  const clients = [await one.client('alice'), await two.client('alice'), await two.client('bob', '&topics=news')]
  await untilCount(nodes, 'alice', 2)
  await redis.send(['FLUSHALL'])
  await untilCount(nodes, 'alice', 2)
  await untilCount([one], 'bob', 1)
  t.match(await one.call('POST', '/topics/news/events', { data: '' }), { body: { streams: 1 } })
  t.same(await one.call('DELETE', '/users/bob/streams'), { status: 200, body: { closed: 1 } })
  await redis.send(['FLUSHALL'], ['SCRIPT', 'FLUSH'])
  await untilCount(nodes, 'alice', 2)
  t.same(clients.map(({ isEnded }) => isEnded).slice(0, 2), [false, false])
})

t.test(
  'while Redis is away streams stay open and are admitted, and cluster-wide queries are rejected',
  { skip: withoutRedis },
  async (t) => {
    const { redis, nodes } = await startCluster(t, 2, { maxStreamsPerUser: 3, onUserLimit: 'reject' })
    const [one, two] = nodes as [NodeProcess, NodeProcess]
    const kept = await one.client('alice')
    await two.client('alice')
    await untilCount(nodes, 'alice', 2)
    for (const outage of ['kill', 'freeze'] as const) {
      await redis[outage]()
      const refused = await until(
        () => one.call('GET', '/users/alice'),
        ({ status }) => status === 503,
        'a 503'
      )
      t.match(refused.body, { code: 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE' })
      t.match(await one.call('DELETE', '/users/bob/streams'), { status: 503 })
      const late = await one.open('late')
      t.equal(late.status, 200)
      late.cut()
      if (outage === 'kill') await redis.start()
      else redis.thaw()
      await untilCount(nodes, 'alice', 2)
      t.equal(kept.isEnded, false)
    }
  }
)
