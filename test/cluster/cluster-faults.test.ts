import t, { type Test } from 'tap'
import { RedisCluster } from '../../services/cluster/redis/redis-cluster.ts'
import { type RedisLink, redisLink } from '../../services/event-log/redis/open-redis-log.ts'
import { type Channel, EVERYONE } from '../../services/events/channel.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { startHub } from '../support/test-hub.ts'
import { makeEntry, TestNode, until, untilSame } from '../support/test-node.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

const LEASE = 1_000
const UNAVAILABLE = { code: 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE', statusCode: 503, headers: { 'retry-after': '1' } }

interface FaultyNode {
  readonly node: TestNode
  readonly proxy: FaultProxy
}

let prefixes = 0

/** Nodes of one hub, each with a connection to Redis that can be cut. */
async function joinFaulty(
  t: Test,
  server: RedisServer,
  count: number,
  lease = LEASE,
  timeout = 500
): Promise<FaultyNode[]> {
  const prefix = `faulty${++prefixes}`
  const joined: FaultyNode[] = []
  for (let at = 0; at < count; at++) {
    const proxy = await FaultProxy.start(server.port)
    const link: RedisLink = await redisLink({ url: proxy.url, prefix, timeout })
    const nodes = new RedisCluster({ link, lease })
    t.teardown(async () => {
      await nodes.leave()
      link.close()
      await proxy.close()
    })
    const node = new TestNode(nodes)
    await nodes.join(node)
    joined.push({ node, proxy })
  }
  for (const { node } of joined) await untilSame(() => node.nodes.isSingleNode, false)
  return joined
}

t.test('nodes and a failing Redis', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())

  t.test(
    'a node that is disconnected for longer than its lease is forgotten, and then known with all changes',
    async (t) => {
      const [one, two] = (await joinFaulty(t, server, 2)) as [FaultyNode, FaultyNode]
      const gone = two.node.open('gone')
      two.node.open('kept', { topics: ['news'] })
      one.node.open('alice')
      await untilSame(() => one.node.nodes.countListeners([[EVERYONE]]), [2])
      two.proxy.cut()
      two.node.open('new', { topics: ['news'] })
      two.node.end(gone)
      await t.rejects(two.node.nodes.countOfUser('alice'), UNAVAILABLE)
      await t.rejects(two.node.nodes.close({ of: { user: 'alice' }, reason: 'kicked' }), UNAVAILABLE)
      t.equal(await two.node.nodes.reserve(gone, 1), true, 'in doubt the stream is admitted')
      await untilSame(() => one.node.nodes.countListeners([[EVERYONE]]), [0])
      await untilSame(() => two.node.nodes.elsewhere, { users: 0, streams: 0 })
      t.equal(two.node.nodes.isSingleNode, false, 'a node that knows no other nodes does not consider itself single')
      t.equal(await one.node.nodes.close({ of: { user: 'kept' }, reason: 'kicked' }), 0)
      two.proxy.restore()
      await untilSame(() => two.node.closed, ['kept kicked'])
      await untilSame(
        () => one.node.nodes.countListeners([['t:news'], ['u:new'], ['u:gone'], ['u:kept']]),
        [1, 1, 0, 0]
      )
      // Other nodes can read what the node wrote before its own refresh ends.
      await untilSame(
        () => two.node.warnings,
        ['the other nodes cannot be reached; this node continues alone', 'the other nodes can be reached again']
      )
      t.same(one.node.warnings, [])
    }
  )

  t.test('foreign entries in the command stream do no harm', async (t) => {
    const [one, two] = (await joinFaulty(t, server, 2)) as [FaultyNode, FaultyNode]
    const command = `{faulty${prefixes}}:nodes:said`
    for (const text of ['', 'x', '{}', '{"command":{"of":{"user":"alice"},"reason":"because"}}', '{"answer":1}']) {
      await server.send(['XADD', command, '*', 'said', text])
    }
    await server.send(['XADD', command, '*', 'a', 'b', 'c', 'd'])
    two.node.open('alice')
    t.equal(await one.node.nodes.close({ of: { user: 'alice' }, reason: 'kicked' }), 1)
    await server.send(['DEL', command], ['SET', command, 'no stream'])
    await t.rejects(one.node.nodes.close({ of: { user: 'alice' }, reason: 'kicked' }), UNAVAILABLE)
    await server.send(['DEL', command])
    two.node.open('alice')
    await untilSame(() => one.node.nodes.close({ of: { user: 'alice' }, reason: 'kicked' }), 1)
  })

  t.test('the entries of a node that Redis has lost are written again', async (t) => {
    const [one, two] = (await joinFaulty(t, server, 2)) as [FaultyNode, FaultyNode]
    two.node.open('alice', { topics: ['news'] })
    two.node.open('bob')
    await untilSame(() => one.node.nodes.countOfUser('bob'), 1)
    const keys = (await server.send(['KEYS', `{faulty${prefixes}}:nodes:*:users`])) as string[]
    for (const key of keys) {
      await server.send(
        ['ZREM', key, 'alice'],
        ['DEL', key.replace(/users$/, 'u:alice'), key.replace(/users$/, 'counts')]
      )
    }
    t.same(await one.node.nodes.countListeners([['u:alice'], ['t:news']]), [0, 0])
    await untilSame(() => one.node.nodes.countListeners([['u:alice'], ['t:news'], ['u:bob']]), [1, 1, 1])
    await untilSame(() => one.node.nodes.elsewhere, { users: 2, streams: 2 })
    t.same([...one.node.warnings, ...two.node.warnings], [])
  })

  t.test('a Redis without free memory counts as unavailable, until it has memory', async (t) => {
    const [one, two] = (await joinFaulty(t, server, 2)) as [FaultyNode, FaultyNode]
    await server.send(['CONFIG', 'SET', 'maxmemory', '1mb'])
    two.node.open('alice')
    await untilSame(() => one.node.warnings.length > 0 && two.node.warnings.length > 0, true)
    await server.send(['CONFIG', 'SET', 'maxmemory', '0'])
    await untilSame(() => one.node.nodes.countOfUser('alice').catch(() => -1), 1)
  })

  t.test('a slot that was requested too late, or released meanwhile, is not kept', async (t) => {
    const [one, two] = (await joinFaulty(t, server, 2, 10_000, 5_000)) as [FaultyNode, FaultyNode]
    two.proxy.delay = 700
    two.node.open('other')
    await new Promise((resolve) => setImmediate(resolve))
    // The first waits until the open stream is written; the second is requested over a connection that forgets the
    // script.
    const late = makeEntry('alice')
    t.equal(await two.node.nodes.reserve(late, 1), true, 'in doubt the stream is admitted')
    two.node.nodes.closed(late, 0)
    two.proxy.delay = 0
    await untilSame(() => one.node.nodes.countOfUser('other'), 1)
    two.proxy.delay = 100
    await server.send(['SCRIPT', 'FLUSH'])
    const given = makeEntry('alice')
    const asking = two.node.nodes.reserve(given, 1)
    two.node.nodes.closed(given, 0)
    await asking
    two.proxy.delay = 0
    await new Promise((resolve) => setTimeout(resolve, 500))
    t.equal(await one.node.nodes.countOfUser('alice'), 0)
    t.equal(await one.node.nodes.reserve(makeEntry('alice'), 1), true)
  })

  t.test('offline users are not known until a node that was there before an outage is back', async (t) => {
    const redis = await RedisServer.start()
    t.teardown(() => redis.stop())
    const proxy = await FaultProxy.start(redis.port)
    t.teardown(() => proxy.close())
    const { hub: one } = await startHub(t, await redisHub({ url: redis.url, timeout: 500, lease: 3_000 }))
    const two = await startHub(t, await redisHub({ url: proxy.url, timeout: 500, lease: 3_000 }))
    two.open({ user: 'bob' })
    await untilSame(() => one.isOnline('bob'), true)
    const undelivered: string[] = []
    one.on('undelivered', ({ user }) => undelivered.push(user))
    await one.send('carol', { data: '' })
    t.same(undelivered, ['carol'])
    proxy.cut()
    await redis.kill()
    await redis.start()
    const send = (user: string) => one.send(user, { data: '' }).catch(() => undefined)
    await until(() => send('bob'), Boolean, 'the log to be back')
    for (let turn = 0; turn < 20; turn++) await send('bob')
    proxy.restore()
    await untilSame(() => one.isOnline('bob').catch(() => false), true)
    await until(
      () => send('bob').then(() => send('carol')),
      () => undelivered.length > 1,
      'the other node to be known'
    )
    t.same(undelivered, ['carol', 'carol'], 'bob was online all the time')
    await two.hub.dispose()
    await one.send('bob', { data: '' })
    t.same(undelivered, ['carol', 'carol', 'bob'])
  })

  t.test('after cuts of any connection at any time, in the end all nodes know all streams', async (t) => {
    const random = new Random(seed)
    const nodes = await joinFaulty(t, server, 3)
    const retained = nodes.map(() => [] as ReturnType<TestNode['open']>[])
    for (let turn = 0; turn < 1_500; turn++) {
      const at = random.from(0, 2)
      const { node, proxy } = nodes[at] as FaultyNode
      const streams = retained[at] as ReturnType<TestNode['open']>[]
      const choice = random.from(0, 99)
      if (choice < 45) {
        const topics = random.from(0, 1) === 0 ? [] : [`t${random.from(0, 4)}`]
        streams.push(
          node.open(`user${random.from(0, 19)}`, { topics, follows: topics.length > 0 && random.from(0, 4) === 0 })
        )
      } else if (choice < 90 && streams.length > 0) {
        node.end(streams.splice(random.from(0, streams.length - 1), 1)[0] as (typeof streams)[0])
      } else if (choice < 92) proxy.cut()
      else if (choice < 95) proxy.restore()
      if (random.from(0, 4) === 0) await new Promise((resolve) => setTimeout(resolve, random.from(0, 5)))
    }
    for (const { proxy } of nodes) proxy.restore()
    const users = Array.from({ length: 20 }, (_, user): Channel => `u:user${user}`)
    const topics = Array.from({ length: 5 }, (_, topic): Channel => `t:t${topic}`)
    const channels: Channel[] = [...users, ...topics, EVERYONE]
    const targets = channels.map((channel) => [channel])
    for (const { node } of nodes) {
      const others = nodes.filter((other) => other.node !== node)
      const expected = channels.map((channel) =>
        others.reduce((sum, other) => sum + other.node.countListeners(channel), 0)
      )
      await until(
        () => node.nodes.countListeners(targets).catch(() => []),
        (counts) => JSON.stringify(counts) === JSON.stringify(expected),
        JSON.stringify(expected)
      )
      await untilSame(
        () => node.nodes.elsewhere.streams,
        others.reduce((sum, other) => sum + other.node.size, 0)
      )
    }
    t.pass('they know')
  })
})
