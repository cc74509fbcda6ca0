import type { Server } from 'node:http'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import type { Cluster as ClusterPort } from '../../services/cluster/cluster.ts'
import { SINGLE_NODE } from '../../services/cluster/single-node.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import type { HubOptions } from '../../services/hub/options.ts'
import { buildRoutes } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type FakeSink, settle } from '../support/fake-sink.ts'
import { NodeNetwork } from '../support/node-network.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startHub, type TestHub } from '../support/test-hub.ts'
import { until } from '../support/test-node.ts'

const UNAVAILABLE = { code: 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE', statusCode: 503 }

/** One memory log for several hubs: closed after the last test, not by the first hub. */
function sharedLog(clock: FakeClock): EventLog {
  const log = new MemoryLog({ retention: DEFAULT_RETENTION, idempotencyWindow: 300_000, clock })
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'close') return async () => {}
      const value = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

interface Cluster {
  readonly network: NodeNetwork
  readonly clock: FakeClock
  readonly hubs: TestHub[]
}

async function startCluster(t: Test, count: number, options: HubOptions = {}): Promise<Cluster> {
  const network = new NodeNetwork()
  const clock = new FakeClock()
  const log = sharedLog(clock)
  const hubs: TestHub[] = []
  for (let at = 0; at < count; at++) hubs.push(await startHub(t, { ...options, clock, log, cluster: network.nodes() }))
  return { network, clock, hubs }
}

function reasons(sink: FakeSink): string[] {
  return sink.events.filter(({ event }) => event === 'hub.close').map(({ data }) => data)
}

t.test('presence covers all nodes, on each of them', async (t) => {
  const { clock, hubs } = await startCluster(t, 3)
  const [one, two, three] = hubs as [TestHub, TestHub, TestHub]
  const first = one.open({ topics: ['news'] }).stream
  clock.advance(10)
  const second = two.open().stream
  clock.advance(10)
  three.open({ user: 'bob' })
  for (const { hub } of hubs) {
    t.equal(await hub.isOnline('alice'), true)
    t.equal(await hub.isOnline('bob'), true)
    t.equal(await hub.isOnline('carol'), false)
    t.same(
      [...(await hub.isOnline(['alice', 'bob', 'carol']))],
      [
        ['alice', true],
        ['bob', true],
        ['carol', false]
      ]
    )
    t.same(await hub.topic('news'), { topic: 'news', streams: 1 })
    t.same(await hub.presence('alice'), {
      user: 'alice',
      online: true,
      streams: [
        { id: first.id, since: '2026-01-01T00:00:00.000Z', topics: ['news'] },
        { id: second.id, since: '2026-01-01T00:00:00.010Z', topics: [] }
      ]
    })
    t.same(await hub.online(), {
      users: [
        { user: 'alice', streams: 2 },
        { user: 'bob', streams: 1 }
      ],
      next: null
    })
  }
  first.close('client')
  t.match(await two.hub.presence('alice'), { streams: [{ id: second.id }] })
})

t.test('pages of online users hold each user once, in one order, on any node', async (t) => {
  const { hubs } = await startCluster(t, 3)
  const names = ['b', 'a', 'é', '10', '9', 'B', '☃', '😀', '\uffee', 'a a', '__proto__']
  names.forEach((user, at) => {
    hubs[at % 3]?.open({ user })
    if (at % 2 === 0) hubs[(at + 1) % 3]?.open({ user })
  })
  const expected = [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
  for (const { hub } of hubs) {
    for (let limit = 1; limit <= names.length + 1; limit++) {
      const received: { user: string; streams: number }[] = []
      let after: string | null = ''
      while (after !== null) {
        const page: Awaited<ReturnType<typeof hub.online>> = await hub.online({ after, limit })
        received.push(...page.users)
        after = page.next
      }
      t.same(
        received,
        expected.map((user) => ({ user, streams: names.indexOf(user) % 2 === 0 ? 2 : 1 })),
        `${limit} a page`
      )
    }
  }
})

t.test('a receipt counts the streams of all nodes', async (t) => {
  const { hubs } = await startCluster(t, 3)
  const [one, two, three] = hubs as [TestHub, TestHub, TestHub]
  one.open()
  two.open({ topics: ['news'] })
  two.open({ user: null, topics: ['news'], follows: true })
  three.open({ user: 'bob', topics: ['news'] })
  for (const { hub } of hubs) {
    t.equal((await hub.send('alice', { data: '' })).streams, 2)
    t.equal((await hub.send(['alice', 'bob', 'carol'], { data: '' })).streams, 3)
    t.match(await hub.send(['alice', 'bob', 'carol'], { data: '' }), {
      streams: 3,
      users: { alice: 2, bob: 1, carol: 0 }
    })
    const [both] = await hub.publishBatch([{ to: { users: ['alice', 'bob'], everyone: true }, data: '' }])
    t.match(both, { streams: 3, users: { alice: 2, bob: 1 } })
    t.equal((await hub.publish('news', { data: '' })).streams, 3)
    t.equal((await hub.broadcast({ data: '' })).streams, 3)
    const batch = await hub.publishBatch([
      { to: { users: ['bob'] }, data: '' },
      { to: { topics: ['nobody'] }, data: '' },
      { to: { everyone: true }, data: '', transient: true }
    ])
    t.same(
      batch.map(({ streams }) => streams),
      [1, 0, 3]
    )
  }
})

t.test('a repeated key returns the first receipt, with the streams of all nodes at that time', async (t) => {
  const { hubs } = await startCluster(t, 2)
  const [one, two] = hubs as [TestHub, TestHub]
  one.open()
  two.open()
  const first = await one.hub.send('alice', { data: 'x', idempotencyKey: 'k' })
  t.equal(first.streams, 2)
  two.open()
  t.same(await two.hub.send('alice', { data: 'x', idempotencyKey: 'k' }), first)
})

t.test('events keep their order, whether or not they wait for answers of other nodes', async (t) => {
  const { hubs } = await startCluster(t, 2)
  const [one, two] = hubs as [TestHub, TestHub]
  const { sink } = two.open()
  await settle()
  const sent = Array.from({ length: 20 }, (_, at) =>
    one.hub.send('alice', { data: String(at), ...(at % 3 === 0 ? { idempotencyKey: `k${at}` } : {}) })
  )
  const receipts = await Promise.all(sent)
  t.ok(receipts.every(({ streams }) => streams === 1))
  await settle()
  t.same(
    sink.published.map(({ data }) => Number(data)),
    Array.from({ length: 20 }, (_, at) => at)
  )
})

t.test('an event is undelivered only if its user has no stream on any node', async (t) => {
  const { hubs } = await startCluster(t, 2)
  const [one, two] = hubs as [TestHub, TestHub]
  const received: string[] = []
  one.hub.on('undelivered', ({ user }) => received.push(user))
  two.open({ user: 'bob' })
  two.open({ user: 'carol', topics: ['x'], follows: true })
  await one.hub.send(['alice', 'bob', 'carol'], { data: '' })
  await one.hub.send('bob', { data: '' })
  t.same(received, ['alice', 'carol'], 'a stream that only follows a topic does not receive it')
})

t.test("closing a user closes the user's streams on every node, and counts them", async (t) => {
  const { hubs } = await startCluster(t, 3)
  const sinks = hubs.map(({ open }) => open().sink)
  const bob = hubs[1]?.open({ user: 'bob' }).sink
  await settle()
  t.equal(await hubs[0]?.hub.disconnect('alice'), 3)
  for (const sink of sinks) t.same(reasons(sink), ['{"reason":"kicked","reconnect":false}'])
  t.same(reasons(bob as FakeSink), [])
  t.equal(await hubs[0]?.hub.disconnect('alice'), 0)
})

t.test('closing one stream finds it on any node', async (t) => {
  const { hubs } = await startCluster(t, 3)
  const [one, two] = hubs as [TestHub, TestHub]
  const opened = two.open()
  const other = two.open()
  await settle()
  t.equal(await one.hub.disconnect({ stream: opened.stream.id }, { reconnect: true }), 1)
  t.same(reasons(opened.sink), ['{"reason":"kicked","reconnect":true}'])
  t.same(reasons(other.sink), [])
  t.equal(await two.hub.disconnect(other.stream), 1)
  t.equal(await one.hub.disconnect({ stream: opened.stream.id }), 0)
})

t.test("a user's oldest stream is replaced on any node", async (t) => {
  const { clock, hubs } = await startCluster(t, 2, { maxStreamsPerUser: 2 })
  const [one, two] = hubs as [TestHub, TestHub]
  const sinks = [one, two, one, two].map(({ open }) => {
    clock.advance(1)
    return open().sink
  })
  await settle()
  const replaced = ['{"reason":"replaced","reconnect":false}']
  t.same(sinks.map(reasons), [replaced, replaced, [], []])
  two.open({ user: 'bob' })
  t.match(await one.hub.presence('alice'), { streams: { length: 2 } })
})

t.test('the welcome contains the users who are online on all nodes', async (t) => {
  const { network, hubs } = await startCluster(t, 2)
  const [one, two] = hubs as [TestHub, TestHub]
  one.open()
  two.open()
  two.open({ user: 'bob' })
  const welcome = async (sink: FakeSink) => {
    await settle()
    return JSON.parse(sink.events.find(({ event }) => event === 'hub.welcome')?.data ?? '').online
  }
  t.same(await welcome(one.open().sink), { users: 2, streams: 4 })
  network.isDown = true
  t.same(await welcome(one.open({ user: 'carol' }).sink), { users: 2, streams: 3 }, 'its own, while it is disconnected')
  t.match(one.hub.stats(), { streams: 3, users: 2 }, 'stats are of this node')
})

t.test('a disconnected node reports it, and continues to serve its own streams', async (t) => {
  const { network, hubs } = await startCluster(t, 2)
  const [one, two] = hubs as [TestHub, TestHub]
  const mine = one.open()
  two.open()
  await settle()
  network.isDown = true
  t.equal(await one.hub.isOnline('alice'), true, 'local knowledge needs no request')
  await t.rejects(one.hub.isOnline('bob'), UNAVAILABLE)
  await t.rejects(one.hub.presence('alice'), UNAVAILABLE)
  await t.rejects(one.hub.online(), UNAVAILABLE)
  t.equal((await one.hub.send('alice', { data: '' })).streams, 1)
  t.equal((await one.hub.send('alice', { data: '', idempotencyKey: 'k' })).streams, 1)
  const received: string[] = []
  one.hub.on('undelivered', ({ user }) => received.push(user))
  await one.hub.send('bob', { data: '' })
  t.same(received, [], 'a user may be online on an unreachable node')
  await t.rejects(one.hub.disconnect('alice'), UNAVAILABLE)
  t.same(reasons(mine.sink), ['{"reason":"kicked","reconnect":false}'], 'and closed here nevertheless')
})

t.test('a hub that is closed leaves the cluster', async (t) => {
  const { hubs } = await startCluster(t, 2)
  const [one, two] = hubs as [TestHub, TestHub]
  two.open()
  t.equal(await one.hub.isOnline('alice'), true)
  await two.hub.dispose()
  t.equal(await one.hub.isOnline('alice'), false)
})

t.test('over HTTP a limit that refuses holds over all nodes, and a client that left releases its slot', async (t) => {
  const network = new NodeNetwork()
  const log = sharedLog(new FakeClock())
  const hosts = []
  for (let at = 0; at < 2; at++) {
    const hub = { log, cluster: network.nodes(), maxStreamsPerUser: 2, onUserLimit: 'reject' as const }
    hosts.push(await buildRoutes(t, { hub }))
  }
  const [one, two] = hosts as [(typeof hosts)[0], (typeof hosts)[0]]
  const urls = await Promise.all(hosts.map(async (host) => `${await host.listen()}/hub/events?user=alice`))
  await one.client(urls[0] as string)
  const second = await two.client(urls[1] as string)
  const refused = await StreamClient.open(urls[0] as string)
  t.equal(refused.status, 200)
  await refused.end()
  t.match(refused.events.at(-1), { event: 'hub.close', data: '{"reason":"limit","reconnect":true}' })
  second.cut()
  await two.untilClosed(1)
  await one.client(urls[0] as string)
  t.equal((await one.app.inject('/hub/users/alice')).json().streams.length, 2)
})

t.test('over HTTP a stream is closed from the other node, and reconnects to neither', async (t) => {
  const network = new NodeNetwork()
  const log = sharedLog(new FakeClock())
  const one = await buildRoutes(t, { hub: { log, cluster: network.nodes() } })
  const two = await buildRoutes(t, { hub: { log, cluster: network.nodes() } })
  const urls = [await one.listen(), await two.listen()].map((url) => `${url}/hub/events?user=alice`)
  const client = await one.client(urls[0] as string)
  const { stream } = JSON.parse((await client.event('hub.welcome')).data)
  const closing = await two.app.inject({ method: 'DELETE', url: `/hub/streams/${stream}` })
  t.same(closing.json(), { closed: 1 })
  await client.end()
  for (const url of urls) {
    t.equal((await StreamClient.open(url, { lastEventId: client.lastEventId })).status, 204)
  }
  network.isDown = true
  t.match((await two.app.inject('/hub/users')).json(), { statusCode: 503, code: 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE' })
})

/** Nodes that answer only when the test says so whether there is room. */
function slowNodes() {
  const asked: ((hasRoom: boolean) => void)[] = []
  const noted: string[] = []
  const nodes: ClusterPort = {
    ...SINGLE_NODE,
    isSingleNode: false,
    reserve: () => new Promise((resolve) => asked.push(resolve)),
    opened: ({ id }) => noted.push(`opened ${id}`),
    closed: ({ id }) => noted.push(`closed ${id}`)
  }
  return { nodes, asked, noted }
}

t.test('a client that disconnects during the request to the others releases its slot', async (t) => {
  const { nodes, asked, noted } = slowNodes()
  const host = await buildRoutes(t, { hub: { cluster: nodes, onUserLimit: 'reject' } })
  const url = `${await host.listen()}/hub/events?user=alice`
  const socket = connect(host.port, '127.0.0.1')
  socket.write(`GET ${new URL(url).pathname}?user=alice HTTP/1.1\r\nHost: x\r\n\r\n`)
  await until(
    () => asked.length,
    (count) => count === 1,
    'a request'
  )
  socket.destroy()
  await until(
    () => connections(host.app.server),
    (count) => count === 0,
    'the connection to be gone'
  )
  asked[0]?.(true)
  await until(
    () => noted.length,
    (count) => count === 1,
    'the slot to be released'
  )
  t.match(noted[0], /^closed /)
  t.equal(host.open, 0)
})

t.test('a hub that begins to close during the request to the others rejects retryably', async (t) => {
  const { nodes, asked, noted } = slowNodes()
  const host = await buildRoutes(t, { hub: { cluster: nodes, onUserLimit: 'reject' } })
  const opening = StreamClient.open(`${await host.listen()}/hub/events?user=alice`)
  await until(
    () => asked.length,
    (count) => count === 1,
    'a request'
  )
  await host.app.sse.drain()
  asked[0]?.(true)
  const client = await opening
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"shutdown","reconnect":true}' })
  t.match(noted, [/^closed /])
})

t.test('a stream that the others admitted is known to them by its later id', async (t) => {
  const { nodes, asked, noted } = slowNodes()
  const host = await buildRoutes(t, { hub: { cluster: nodes, onUserLimit: 'reject' } })
  const opening = host.client(`${await host.listen()}/hub/events?user=alice`)
  await until(
    () => asked.length,
    (count) => count === 1,
    'a request'
  )
  asked[0]?.(true)
  const { stream } = JSON.parse((await (await opening).event('hub.welcome')).data)
  t.same(noted, [`opened ${stream}`])
})

t.test('a hub that cannot start closes its log and leaves the cluster', async (t) => {
  const log = new MemoryLog({ retention: DEFAULT_RETENTION, idempotencyWindow: 300_000, clock: new FakeClock() })
  const released: string[] = []
  log.tail = () => Promise.reject(new Error('no tail'))
  log.close = async () => {
    released.push('log')
  }
  const leave = async () => {
    released.push('cluster')
  }
  const app = Fastify()
  await t.rejects(async () => app.register(sseHub, { log, cluster: { ...SINGLE_NODE, leave } }).ready(), {
    message: 'no tail'
  })
  t.same(released, ['cluster', 'log'])
  await app.close()
})

function connections(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
}
