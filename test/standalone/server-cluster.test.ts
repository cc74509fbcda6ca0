import t from 'tap'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { publish, ServerProcess } from '../support/server-process.ts'
import { StreamClient } from '../support/stream-client.ts'

// Each process is compiled as it starts.
t.setTimeout(240_000)

const settings = { skip: withoutRedis }

t.test('two standalone hubs with one Redis are one hub', settings, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const env = { HUB_STORE: `${redis.url}/0?prefix=two`, LOG_LEVEL: 'info' }
  const nodes = [new ServerProcess(t, env), new ServerProcess(t, env)] as const
  const [one, other] = [await nodes[0].url(), await nodes[1].url()]

  const client = await StreamClient.open(`${one}/events?user=alice`)
  await client.event('hub.welcome')
  await publish(other, '/users/alice/events', 'from the other node')
  t.same((await client.count(1))[0]?.data, 'from the other node')
  t.match(await (await fetch(`${other}/users/alice`)).json(), { online: true, streams: [{}] })

  client.cut()
  await publish(one, '/users/alice/events', 'missed')
  const { lastEventId } = client
  const back = await StreamClient.open(`${other}/events?user=alice`, { lastEventId })
  t.same((await back.count(1))[0]?.data, 'missed')

  const closed = await fetch(`${one}/users/alice/streams`, { method: 'DELETE' })
  t.same(await closed.json(), { closed: 1 })
  t.match(JSON.parse((await back.event('hub.close')).data), { reason: 'kicked', reconnect: false })
  t.equal((await fetch(`${one}/events?user=alice`, { headers: { 'last-event-id': back.lastEventId } })).status, 204)
  for (const node of nodes) {
    t.equal(await node.stop('SIGTERM'), 0)
    t.equal(node.stderr, '')
    t.match(node.stdout, 'history is kept in Redis at 127.0.0.1:')
  }
})

t.test('a ticket of one node is valid on the other until it expires', settings, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const key = 'k'.repeat(43)
  const env = { HUB_STORE: redis.url, HUB_API_KEYS: `backend:${key}:publish,ticket` }
  const [one, other] = [new ServerProcess(t, env), new ServerProcess(t, env)]
  const made = await fetch(`${await one.url()}/tickets`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, connection: 'close' },
    body: JSON.stringify({ user: 'alice', ttl: 2_000 })
  })
  t.equal(made.status, 201)
  const { ticket } = (await made.json()) as { ticket: string }
  const path = `/events?ticket=${ticket}`
  const client = await StreamClient.open((await other.url()) + path)
  t.match(JSON.parse((await client.event('hub.welcome')).data), { user: 'alice' })
  t.match(JSON.parse((await client.event('hub.close')).data), { reason: 'expired', reconnect: true })
  let status = 200
  while (status === 200) {
    const again = await fetch((await one.url()) + path)
    status = again.status
    await again.body?.cancel()
  }
  t.equal(status, 401)
})

t.test('without its Redis the server does not start, and the error does not repeat the password', async (t) => {
  const server = new ServerProcess(t, { HUB_STORE: 'redis://hub:secret@127.0.0.1:9/0' })
  t.equal(await server.ended(), 1)
  t.match(server.stderr, /^fastify-sse-hub: HUB_STORE cannot be opened: /)
  t.notMatch(server.stdout + server.stderr, 'secret')
})
