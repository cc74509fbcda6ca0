import t from 'tap'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { buildRoutes, failOnWarnings, type HubHost } from '../support/build.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { untilSame } from '../support/test-node.ts'

failOnWarnings(t)

function put(host: HubHost, id: string, topics: unknown, user = 'alice') {
  return host.app.inject({
    method: 'PUT',
    url: `/hub/streams/${id}/topics?user=${user}`,
    payload: { topics } as object
  })
}

const idOf = (host: HubHost) => host.streams.at(-1)?.id as string

t.test('a client changes the topics of its open stream', async (t) => {
  const host = await buildRoutes(t)
  const client = await host.client(`${await host.listen()}/hub/events?user=alice&topics=a,b`)
  await host.app.sse.publish('c', { data: 'before' })
  const { statusCode, body } = await put(host, idOf(host), ['b', 'c'])
  t.same([statusCode, body], [204, ''])
  await host.app.sse.publish('a', { data: 'a' })
  await host.app.sse.publish('c', { data: 'c' })
  await host.app.sse.publish('b', { data: 'b' })
  t.same(
    (await client.count(2)).map(({ data }) => data),
    ['c', 'b']
  )
  t.equal((await client.event('hub.topics')).data, '{"topics":["b","c"]}')
  t.equal((await put(host, idOf(host), [])).statusCode, 204)
  t.same(host.streams.at(-1)?.topics, [])
})

t.test('topics that the host granted stay, and are not asked for', async (t) => {
  const asked: string[] = []
  const host = await buildRoutes(t, {
    hub: { authenticate: () => ({ user: 'alice', topics: ['granted'] }) },
    routes: {
      authorizeTopic: (_identity, topic) => {
        asked.push(topic)
        return true
      }
    }
  })
  await host.client(`${await host.listen()}/hub/events?topics=a`)
  t.equal((await put(host, idOf(host), ['granted', 'b'])).statusCode, 204)
  t.same(host.streams[0]?.topics, ['granted', 'b'])
  t.same(asked, ['a', 'b'])
})

t.test('a topic that is forbidden is 403 by name, and nothing changes', async (t) => {
  const host = await buildRoutes(t, { routes: { authorizeTopic: (_identity, topic) => topic !== 'secret' } })
  const client = await host.client(`${await host.listen()}/hub/events?user=alice&topics=a`)
  const refused = await put(host, idOf(host), ['b', 'secret', 'c'])
  t.equal(refused.statusCode, 403)
  t.match(refused.json(), { code: 'SSE_HUB_ERR_TOPIC_FORBIDDEN', message: /"secret"/ })
  t.same(host.streams[0]?.topics, ['a'])
  t.notOk(client.events.some(({ event }) => event === 'hub.topics'))
})

t.test('a stream of another user is as unknown as one that does not exist', async (t) => {
  const host = await buildRoutes(t)
  await host.client(`${await host.listen()}/hub/events?user=alice&topics=a`)
  const foreign = await put(host, idOf(host), ['b'], 'mallory')
  const unknown = await put(host, 'no-such-stream', ['b'], 'mallory')
  t.equal(foreign.statusCode, 404)
  t.same(foreign.json(), unknown.json())
  t.same(host.streams[0]?.topics, ['a'])
  const anonymous = await host.app.inject({ method: 'PUT', url: `/hub/streams/x/topics`, payload: { topics: [] } })
  t.equal(anonymous.statusCode, 401)
})

t.test('invalid topics are refused', async (t) => {
  const host = await buildRoutes(t, { hub: { maxTopics: 3 } })
  const url = await host.listen()
  await host.client(`${url}/hub/events?user=alice&topics=a`)
  for (const topics of [undefined, 'a', [''], [5], ['x'.repeat(300)], ['a', 'b', 'c', 'd'], ['a\n']]) {
    t.equal((await put(host, idOf(host), topics)).statusCode, 400, JSON.stringify(topics))
  }
  t.same(host.streams[0]?.topics, ['a'])
  await host.client(`${url}/hub/events?user=alice&follow=task`)
  const fixed = await put(host, idOf(host), ['b'])
  t.equal(fixed.statusCode, 409)
  t.equal(fixed.json().code, 'SSE_HUB_ERR_TOPICS_FIXED')
})

t.test('an authorizeTopic that fails is 503, and nothing changes', async (t) => {
  let isBroken = false
  const host = await buildRoutes(t, {
    routes: {
      authorizeTopic: () => {
        if (isBroken) throw new Error('the database is down')
        return true
      }
    }
  })
  await host.client(`${await host.listen()}/hub/events?user=alice&topics=a`)
  isBroken = true
  t.equal((await put(host, idOf(host), ['b'])).statusCode, 503)
  t.same(host.streams[0]?.topics, ['a'])
})

t.test('reauthorize() takes the topics away that are forbidden now, and no granted one', async (t) => {
  const forbidden = new Set<string>()
  const host = await buildRoutes(t, {
    hub: { authenticate: () => ({ user: 'alice', topics: ['granted'] }) },
    routes: { authorizeTopic: (_identity, topic) => !forbidden.has(topic) }
  })
  const url = await host.listen()
  const client = await host.client(`${url}/hub/events?topics=a,b`)
  await put(host, idOf(host), ['a', 'b', 'c'])
  await host.client(`${url}/hub/events?topics=a`)
  t.equal(await host.app.sse.reauthorize('alice'), 0)
  for (const topic of ['b', 'c', 'granted']) forbidden.add(topic)
  t.equal(await host.app.sse.reauthorize('alice'), 1)
  t.same(
    host.streams.map(({ topics }) => topics),
    [
      ['granted', 'a'],
      ['granted', 'a']
    ]
  )
  await host.app.sse.publish(['b', 'c'], { data: 'secret' })
  await host.app.sse.publish('a', { data: 'last' })
  t.same(
    (await client.count(1)).map(({ data }) => data),
    ['last']
  )
  t.equal(await host.app.sse.reauthorize('nobody'), 0)
})

t.test('reauthorize() closes a stream whose identity or right cannot be confirmed', async (t) => {
  let answer: () => boolean = () => true
  const host = await buildRoutes(t, { routes: { authorizeTopic: () => answer() } })
  const url = await host.listen()
  await host.client(`${url}/hub/events?user=alice&topics=a`)
  answer = () => {
    throw Object.assign(new Error('signed out'), { statusCode: 401 })
  }
  t.equal(await host.app.sse.reauthorize('alice'), 1)
  answer = () => true
  await host.client(`${url}/hub/events?user=bob&topics=a`)
  answer = () => {
    throw new Error('the database is down')
  }
  t.equal(await host.app.sse.reauthorize('bob'), 1)
  answer = () => true
  await host.client(`${url}/hub/events?user=carol&follow=task`)
  answer = () => false
  t.equal(await host.app.sse.reauthorize('carol'), 1)
  t.same(host.closed, ['expired', 'error', 'expired'])
})

t.test('a right that is withdrawn while its stream opens is not used', async (t) => {
  let isAllowed = true
  const host = await buildRoutes(t, {
    routes: {
      authorizeTopic: async () => {
        const answer = isAllowed
        if (!answer) return false
        isAllowed = false
        await host.app.sse.reauthorize('alice')
        return answer
      }
    }
  })
  await host.client(`${await host.listen()}/hub/events?user=alice&topics=a`)
  await untilSame(() => host.streams[0]?.topics, [])
})

t.test('over two nodes, topics change on the node of the stream', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const forbidden = new Set<string>()
  const authorizeTopic = (_identity: unknown, topic: string) => !forbidden.has(topic)
  const here = await buildRoutes(t, { hub: await redisHub({ url: server.url }), routes: { authorizeTopic } })
  const there = await buildRoutes(t, { hub: await redisHub({ url: server.url }), routes: { authorizeTopic } })
  const client = await here.client(`${await here.listen()}/hub/events?user=alice&topics=a`)
  await untilSame(async () => (await there.app.sse.isOnline('alice')) && (await here.app.sse.isOnline('alice')), true)
  await there.app.sse.publish('b', { data: 'before' })
  t.equal((await put(there, idOf(here), ['b', 'c'])).statusCode, 204)
  await there.app.sse.publish('a', { data: 'a' })
  await there.app.sse.publish('b', { data: 'b' })
  t.same(
    (await client.count(1)).map(({ data }) => data),
    ['b']
  )
  t.equal((await put(there, idOf(here), ['b'], 'mallory')).statusCode, 404)
  t.equal((await put(there, 'no-such-stream', ['b'])).statusCode, 404)
  await here.client(`${here.url}/hub/events?user=alice&follow=task`)
  t.equal((await put(there, idOf(here), ['b'])).statusCode, 409)
  forbidden.add('b')
  t.equal((await put(there, here.streams[0]?.id as string, ['b'])).statusCode, 403)
  t.equal(await there.app.sse.reauthorize('alice'), 1)
  t.same(here.streams[0]?.topics, ['c'])
  await there.app.sse.publish('b', { data: 'secret' })
  await there.app.sse.publish('c', { data: 'c' })
  t.same(
    (await client.count(2)).map(({ data }) => data),
    ['b', 'c']
  )
})
