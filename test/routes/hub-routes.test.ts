import type { InjectOptions } from 'fastify'
import t from 'tap'
import { hubRoutes } from '../../routes/hub-routes.ts'
import type { HubAction } from '../../services/access/action.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { resolveOptions } from '../../services/hub/options.ts'
import { buildHub, buildRoutes, failOnWarnings, userOfQuery } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

/** Every route for publishers alone, and the actions with which it calls `authorize`. */
const GUARDED: [InjectOptions['method'] & string, string, unknown, HubAction[]][] = [
  ['POST', '/broadcast', { data: 1 }, [{ verb: 'publish', target: { everyone: true } }]],
  ['POST', '/users/alice/events', { data: 1 }, [{ verb: 'publish', target: { users: ['alice'] } }]],
  ['POST', '/topics/news/events', { data: 1 }, [{ verb: 'publish', target: { topics: ['news'] } }]],
  [
    'POST',
    '/events',
    [
      { to: { users: ['alice'] }, data: 1 },
      { to: { everyone: true }, data: 2 }
    ],
    [
      { verb: 'publish', target: { users: ['alice'] } },
      { verb: 'publish', target: { everyone: true } }
    ]
  ],
  ['GET', '/users', undefined, [{ verb: 'read' }]],
  ['GET', '/users/alice', undefined, [{ verb: 'read', user: 'alice' }]],
  ['GET', '/users/alice/events', undefined, [{ verb: 'read', user: 'alice' }]],
  ['GET', '/topics/news/events', undefined, [{ verb: 'read', topic: 'news' }]],
  ['GET', '/broadcast', undefined, [{ verb: 'read', everyone: true }]],
  ['GET', '/cursor', undefined, [{ verb: 'read' }]],
  ['GET', '/users/alice/inbox', undefined, [{ verb: 'read', user: 'alice' }]],
  ['DELETE', '/users/alice/inbox/1.aaaaaaaaaaaaaa', undefined, [{ verb: 'publish', target: { users: ['alice'] } }]],
  ['DELETE', '/users/alice/streams', undefined, [{ verb: 'close', user: 'alice' }]],
  ['DELETE', '/streams/abc', undefined, [{ verb: 'close', stream: 'abc' }]],
  [
    'GET',
    '/users/alice/streams',
    undefined,
    [
      { verb: 'read', user: 'alice' },
      { verb: 'close', user: 'alice' }
    ]
  ],
  ['GET', '/settings', undefined, [{ verb: 'read' }]],
  ['GET', '/stats', undefined, [{ verb: 'read' }]]
]

const call = ([method, url, payload]: (typeof GUARDED)[number]): InjectOptions => ({
  method: method as 'GET',
  url: `/hub${url}`,
  ...(payload === undefined ? {} : { payload: payload as object })
})

t.test('without authorize only the streams and the probes have routes', async (t) => {
  const host = await buildHub(t, { host: (app) => app.register(hubRoutes, { prefix: '/hub' }) })
  for (const route of GUARDED) t.equal((await host.app.inject(call(route))).statusCode, 404, `${route[0]} ${route[1]}`)
  t.equal((await host.app.inject('/hub/tasks/demo')).statusCode, 404)
  t.equal((await host.app.inject('/hub/health/live')).statusCode, 200)
  t.equal((await host.client(`${await host.listen()}/hub/events?user=alice`)).status, 200)
  t.equal((await host.app.inject('/events')).statusCode, 404, 'no route is outside the prefix')
})

t.test('authorize is called for every action of a caller', async (t) => {
  let asked: HubAction[] = []
  const authorize = async (_request: unknown, action: HubAction) => asked.push(action) > 0
  const { app } = await buildRoutes(t, { routes: { authorize } })
  for (const route of GUARDED) {
    asked = []
    const { statusCode } = await app.inject(call(route))
    t.ok(statusCode < 300, `${route[0]} ${route[1]}`)
    // For a batch the first call is about the whole, before the body is read.
    const isBatch = route[0] === 'POST' && route[1] === '/events'
    t.same(asked, isBatch ? [{ verb: 'publish', target: {} }, ...route[3]] : route[3])
  }
})

t.test('any result of authorize but true is 403, and changes nothing', async (t) => {
  for (const answer of [false, undefined, 'yes', 1, Promise.resolve(false), Promise.resolve('yes')]) {
    const { app } = await buildRoutes(t, { routes: { authorize: (() => answer) as never } })
    for (const route of GUARDED) {
      const response = await app.inject(call(route))
      t.match(response.json(), {
        statusCode: 403,
        code: 'SSE_HUB_ERR_FORBIDDEN',
        error: 'Forbidden',
        message: /^Not allowed: /
      })
    }
    t.match(app.sse.stats(), { published: 0 })
  }
})

t.test('a batch is published only if every one of its targets is allowed', async (t) => {
  for (const isAsync of [false, true]) {
    const authorize = (_request: unknown, action: HubAction) => {
      const isAllowed = action.verb === 'publish' && !action.target.everyone
      return isAsync ? Promise.resolve(isAllowed) : isAllowed
    }
    const { app } = await buildRoutes(t, { routes: { authorize } })
    const [, batch] = GUARDED.slice(2, 4)
    const response = await app.inject(call(batch as (typeof GUARDED)[number]))
    t.equal(response.statusCode, 403)
    t.equal(app.sse.stats().published, 0)
  }
})

t.test('an error of authorize is answered with its own status', async (t) => {
  const refuse = () => Object.assign(new Error('no key'), { statusCode: 401, code: 'NO_KEY' })
  const failing = [
    () => {
      throw refuse()
    },
    () => Promise.reject(refuse())
  ]
  for (const authorize of failing) {
    const { app } = await buildRoutes(t, { routes: { authorize } })
    for (const route of GUARDED)
      t.match((await app.inject(call(route))).json(), { statusCode: 401, code: 'NO_KEY', error: 'Unauthorized' })
  }
})

t.test('GET /events opens a stream of the caller, with the topics that authorizeTopic grants', async (t) => {
  const host = await buildRoutes(t, { routes: { authorizeTopic: (_identity, topic) => topic !== 'secret' } })
  const url = `${await host.listen()}/hub/events`
  const client = await host.client(`${url}?user=alice&topics=news,orders%2F42&topics=sport,`)
  t.same(host.streams[0]?.topics, ['news', 'orders/42', 'sport'])
  for (const topic of ['news', 'other', 'orders/42', 'sport']) await host.app.sse.publish(topic, { data: topic })
  t.same(
    (await client.count(3)).map(({ data }) => data),
    ['news', 'orders/42', 'sport']
  )

  const refusals: [string, number, string][] = [
    ['', 401, 'SSE_HUB_ERR_UNAUTHENTICATED'],
    ['?user=alice&topics=news,secret', 403, 'SSE_HUB_ERR_TOPIC_FORBIDDEN'],
    ['?user=alice&topics=a%00b', 400, 'SSE_HUB_ERR_INVALID_TOPIC'],
    [`?user=alice&topics=${Array.from({ length: 101 }, (_, at) => at)}`, 400, 'SSE_HUB_ERR_TOO_MANY_TOPICS'],
    ['?user=alice&from=newest', 400, 'SSE_HUB_ERR_INVALID_REQUEST'],
    ['?user=alice&last=0', 400, 'SSE_HUB_ERR_INVALID_REQUEST'],
    ['?user=alice&last=1001', 400, 'SSE_HUB_ERR_INVALID_REQUEST'],
    ['?user=alice&last=many', 400, 'SSE_HUB_ERR_INVALID_REQUEST']
  ]
  for (const [query, statusCode, code] of refusals) {
    const response = await host.app.inject(`/hub/events${query}`)
    t.match(response.json(), { statusCode, code, message: /.+/ }, query.slice(0, 60))
    t.match(response.headers['content-type'], 'application/json')
  }
  t.equal(host.streams.length, 1)
})

t.test('GET /events begins where its query says', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=alice`
  const ids: (string | null)[] = []
  for (let data = 1; data <= 3; data++) ids.push((await host.app.sse.send('alice', { data })).id)
  const cases: [string, string[]][] = [
    ['&from=oldest', ['1', '2', '3']],
    ['&last=2', ['2', '3']],
    ['&from=oldest&last=1', ['1', '2', '3']],
    [`&lastEventId=${ids[1]}&last=3`, ['3']],
    [`&last_event_id=${ids[0]}`, ['2', '3']]
  ]
  for (const [query, expected] of cases) {
    const client = await StreamClient.open(url + query)
    t.same(
      (await client.count(expected.length)).map(({ data }) => data),
      expected,
      query
    )
    t.match(JSON.parse((await client.event('hub.welcome')).data), { replayed: expected.length })
    client.cut()
  }
})

t.test('the routes may use another authenticate than the hub', async (t) => {
  const host = await buildHub(t, {
    hub: { authenticate: () => ({ user: 'of-the-hub' }) },
    host: async (app) => {
      await app.register(hubRoutes, { prefix: '/a', authenticate: userOfQuery })
      await app.register(hubRoutes, { prefix: '/b' })
    }
  })
  const url = await host.listen()
  await host.client(`${url}/a/events?user=alice`)
  await host.client(`${url}/b/events?user=alice`)
  t.same(
    host.streams.map(({ user }) => user),
    ['alice', 'of-the-hub']
  )
})

t.test('the parsers and the validation of the host stay as they are', async (t) => {
  const { app } = await buildHub(t, {
    host: async (app) => {
      await app.register(hubRoutes, { prefix: '/hub', authorize: () => true })
      const schema = { querystring: { type: 'object', properties: { count: { type: 'integer', default: 7 } } } }
      app.post('/echo', { schema }, async (request) => ({ body: request.body, query: request.query }))
    }
  })
  const response = await app.inject({
    method: 'POST',
    url: '/echo',
    headers: { 'content-type': 'text/plain' },
    payload: 'plain text'
  })
  t.same(response.json(), { body: 'plain text', query: { count: 7 } })
})

t.test('GET /stats counts the streams and events of this node', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=`
  const alice = await host.client(`${url}alice`)
  await host.client(`${url}bob`)
  await host.app.sse.send('alice', { data: 1 })
  alice.cut()
  await host.untilClosed(1)
  const response = await host.app.inject('/hub/stats')
  t.match(response.json(), {
    streams: 1,
    users: 1,
    cluster: { streams: 1, users: 1 },
    published: 1,
    opened: 2,
    closed: {
      client: 1,
      slow: 0,
      replaced: 0,
      limit: 0,
      expired: 0,
      kicked: 0,
      cut: 0,
      finished: 0,
      shutdown: 0,
      error: 0
    },
    refused: { limit: 0, shutdown: 0, error: 0, unauthenticated: 0 },
    log: { kind: 'memory', events: 1, channels: 1, head: 1 },
    states: { replaying: 0, live: 1, backpressured: 0 },
    nodes: 1,
    connections: { max: null }
  })
})

t.test(
  'GET /settings shows the options in force and those of the host, and no part that the host passed in',
  async (t) => {
    const settings = { region: 'eu' }
    const hub = { heartbeatInterval: 7_000, retention: { user: 5 }, welcome: () => ({ secret: 'canary' }) }
    const { app } = await buildRoutes(t, { hub, routes: { settings } })
    const answer = (await app.inject('/hub/settings')).json()
    t.match(answer, { region: 'eu', heartbeatInterval: 7_000, welcome: true, maxStreamsPerUser: 100 })
    t.match(answer, { retention: { user: 5, topic: 10_000 } })
    t.same(
      ['log', 'cluster', 'clock'].filter((name) => name in answer),
      []
    )
    t.notMatch(JSON.stringify(answer), 'canary')
    const own = await buildRoutes(t, { hub: { log: new MemoryLog(resolveOptions({})) } })
    t.notOk('retention' in (await own.app.inject('/hub/settings')).json(), 'a log that is passed in has its own')
    await t.rejects(buildRoutes(t, { routes: { settings: 'all' as never } }), { code: 'SSE_HUB_ERR_INVALID_OPTION' })
  }
)

t.test('GET /access answers what the caller may do, and passes other errors on', async (t) => {
  let problem: Error | undefined
  const asked: HubAction[] = []
  const authorize = (_request: unknown, action: HubAction) => {
    if (problem !== undefined) throw problem
    asked.push(action)
    return action.verb === 'publish' || action.verb === 'read'
  }
  const { app } = await buildRoutes(t, { routes: { authorize } })
  const access = async (headers = {}) => app.inject({ url: '/hub/access', headers })
  t.same((await access()).json(), { publish: true, close: false, read: true, ticket: false })
  t.same(asked, [{ verb: 'publish', target: {} }, { verb: 'close' }, { verb: 'read' }], 'no ticket without a route')
  problem = Object.assign(new Error('no session'), { statusCode: 401 })
  t.same((await access()).json(), { publish: false, close: false, read: false, ticket: false })
  t.equal((await access({ authorization: 'Bearer x' })).statusCode, 401, 'a guess is an error')
  t.equal((await access({ cookie: 'session=x' })).statusCode, 401)
  problem = Object.assign(new Error('busy'), { statusCode: 503 })
  t.equal((await access()).statusCode, 503)
})

t.test('the probes report liveness and readiness', async (t) => {
  const host = await buildRoutes(t)
  for (const probe of ['live', 'ready']) {
    const response = await host.app.inject(`/hub/health/${probe}`)
    t.equal(response.statusCode, 200)
    t.same(response.json(), { status: 'ok' })
  }
  await host.app.sse.drain()
  const draining = await host.app.inject('/hub/health/ready')
  t.equal(draining.statusCode, 503)
  t.same(draining.json(), { status: 'unavailable' })
  t.equal((await host.app.inject('/hub/health/live')).statusCode, 200, 'not ready is not a reason to restart')
})

t.test('a request for a stream while the hub drains gets a retryable rejection', async (t) => {
  const host = await buildRoutes(t)
  const url = await host.listen()
  await host.app.sse.drain()
  const client = await StreamClient.open(`${url}/hub/events?user=alice`)
  await client.end()
  t.equal(client.status, 200)
  t.match(client.events, [{ event: 'hub.close', data: '{"reason":"shutdown","reconnect":true}' }])
})
