import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { buildRoutes, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'

failOnWarnings(t)

/** Posts a value as JSON, or a string as it is. */
function post(app: FastifyInstance, url: string, payload: unknown, headers: InjectOptions['headers'] = {}) {
  return app.inject({
    method: 'POST',
    url: `/hub${url}`,
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload)
  })
}

const BATCH_ROUTE = '/events'
const DRAFT_ROUTES = ['/broadcast', '/users/alice/events', '/topics/news/events']

t.test('a posted event reaches the target of the route, and the receipt has the number of streams', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=`
  const alice = await host.client(`${url}alice&topics=orders/42`)
  const bob = await host.client(`${url}bob`)
  const posts: [string, number][] = [
    ['/users/alice/events', 1],
    ['/topics/orders%2F42/events', 1],
    ['/broadcast', 2],
    ['/users/nobody/events', 0]
  ]
  const receipts: { id: string }[] = []
  for (const [route, streams] of posts) {
    const response = await post(host.app, route, { event: 'order.shipped', data: { route } })
    t.equal(response.statusCode, 202, route)
    t.match(response.headers['content-type'], 'application/json')
    t.match(response.json(), { id: /^[0-9a-z.]+$/, streams })
    receipts.push(response.json())
  }
  const got = await alice.count(3)
  t.same(
    got.map(({ event, id, data }) => [event, id, JSON.parse(data).route]),
    posts.slice(0, 3).map(([route], index) => ['order.shipped', receipts[index]?.id, route])
  )
  t.same(
    (await bob.count(1)).map(({ data }) => JSON.parse(data).route),
    ['/broadcast']
  )
})

t.test('the name in the URL is decoded exactly once', async (t) => {
  const host = await buildRoutes(t, { server: { routerOptions: { maxParamLength: 768 } } })
  const url = `${await host.listen()}/hub/events?user=`
  for (const user of [
    'a/b',
    '../..',
    '%2F',
    'é☃😀',
    '__proto__',
    'constructor',
    'a b?c#d',
    'x'.repeat(256),
    '😀'.repeat(64)
  ]) {
    const client = await host.client(url + encodeURIComponent(user))
    const response = await post(host.app, `/users/${encodeURIComponent(user)}/events`, { data: user })
    t.equal(response.json().streams, 1, user)
    t.equal((await client.count(1))[0]?.data, user)
    client.cut()
  }
  for (const user of ['%00', '%0A', 'x'.repeat(257), encodeURIComponent('😀'.repeat(65))]) {
    const response = await post(host.app, `/users/${user}/events`, { data: 1 })
    t.equal(response.statusCode, 400, user)
  }
})

t.test('a transient event has no id, and a final one ends the streams that follow', async (t) => {
  const { app } = await buildRoutes(t)
  t.same((await post(app, '/broadcast', { data: 'typing', transient: true })).json(), { id: null, streams: 0 })
  t.match((await post(app, '/topics/task/events', { data: 'x', final: true })).json(), { id: /.+/ })
})

t.test('data may be any JSON value, and arrives unchanged', async (t) => {
  const host = await buildRoutes(t)
  const client = await host.client(`${await host.listen()}/hub/events?user=alice`)
  const values = [
    '',
    ' x',
    '\uFEFFx',
    'a\nb',
    'null',
    0,
    -1.5,
    true,
    false,
    null,
    [],
    {},
    { data: [1, 'two', null] },
    '\u2028',
    '😀'
  ]
  for (const data of values) t.equal((await post(host.app, '/users/alice/events', { data })).statusCode, 202)
  const expected = values.map((data) => (typeof data === 'string' ? data : JSON.stringify(data)))
  t.same(
    (await client.count(values.length)).map(({ data }) => data),
    expected
  )
})

t.test('numbers and texts are not converted into each other', async (t) => {
  const { app } = await buildRoutes(t)
  for (const draft of [
    { data: 1, ttl: '5' },
    { data: 1, transient: 'true' },
    { data: 1, event: 5 },
    { data: 1, final: 1 }
  ]) {
    const response = await post(app, '/broadcast', draft)
    t.match(response.json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_REQUEST' }, JSON.stringify(draft))
  }
})

t.test('an invalid draft is an error with a code and the fix, and nothing is published', async (t) => {
  const { app } = await buildRoutes(t, { hub: { maxEventBytes: 100 } })
  const wrong: [unknown, number, string, RegExp][] = [
    [{}, 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/data: .*required/i],
    [[], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body: /],
    ['null', 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body: /],
    ['"text"', 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body: /],
    [{ data: 1, evnet: 'x' }, 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/evnet: Unexpected property/],
    [{ data: 1, to: { everyone: true } }, 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/to: Unexpected property/],
    [{ data: 1, event: '' }, 400, 'SSE_HUB_ERR_INVALID_EVENT_NAME', /1 to 128 bytes/],
    [{ data: 1, event: 'a\nb' }, 400, 'SSE_HUB_ERR_INVALID_EVENT_NAME', /without control characters/],
    [{ data: 1, event: 'x'.repeat(129) }, 400, 'SSE_HUB_ERR_INVALID_EVENT_NAME', /1 to 128 bytes/],
    [{ data: 1, event: 'hub.close' }, 400, 'SSE_HUB_ERR_RESERVED_EVENT_NAME', /choose another/],
    [{ data: 1, event: 'error' }, 400, 'SSE_HUB_ERR_RESERVED_EVENT_NAME', /choose another/],
    ['{"data":1,"event":"__proto__"}', 400, 'SSE_HUB_ERR_RESERVED_EVENT_NAME', /choose another/],
    [{ data: 1, ttl: 0 }, 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/ttl: /],
    [{ data: 1, ttl: 1.5 }, 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/ttl: /],
    [{ data: 1, ttl: 1e15 }, 400, 'SSE_HUB_ERR_INVALID_DRAFT', /ttl is an integer from 1/],
    [{ data: 1, collapseKey: '' }, 400, 'SSE_HUB_ERR_INVALID_DRAFT', /collapseKey is 1 to 256 bytes/],
    [
      { data: 1, idempotencyKey: 'x'.repeat(257) },
      400,
      'SSE_HUB_ERR_INVALID_DRAFT',
      /idempotencyKey is 1 to 256 bytes/
    ],
    [{ data: 1, transient: true, final: true }, 400, 'SSE_HUB_ERR_INVALID_DRAFT', /cannot be transient/],
    ['{"data":"\\ud800"}', 400, 'SSE_HUB_ERR_INVALID_DATA', /well-formed Unicode/],
    [{ data: 'x'.repeat(101) }, 413, 'SSE_HUB_ERR_EVENT_TOO_LARGE', /at most 100 bytes; got 101.*maxEventBytes/],
    [`{"data":${'['.repeat(80)}${']'.repeat(80)}}`, 400, 'SSE_HUB_ERR_INVALID_DATA', /64 deep; flatten it/]
  ]
  for (const route of DRAFT_ROUTES) {
    for (const [draft, statusCode, code, message] of wrong) {
      const response = await post(app, route, draft)
      t.match(
        response.json(),
        { statusCode, code, message, error: /^[A-Z]/ },
        `${route} ${JSON.stringify(draft).slice(0, 60)}`
      )
      t.equal(response.statusCode, statusCode)
    }
  }
  t.equal(app.sse.stats().published, 0)
})

t.test('JSON that is nested deeply is refused, whether it is too large or not', async (t) => {
  const { app } = await buildRoutes(t)
  for (const depth of [65, 10_000, 200_000]) {
    const response = await post(app, '/broadcast', `{"data":${'['.repeat(depth)}${']'.repeat(depth)}}`)
    t.ok([400, 413].includes(response.statusCode), `${depth}: ${response.payload.slice(0, 100)}`)
    t.match(response.json().code, /^SSE_HUB_ERR_/)
  }
  t.equal((await post(app, '/broadcast', `{"data":${'['.repeat(64)}${']'.repeat(64)}}`)).statusCode, 202)
})

t.test('only JSON is accepted: a page of another origin cannot post without a preflight', async (t) => {
  const { app } = await buildRoutes(t)
  const draft = '{"data":"forged"}'
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json'
  ]) {
    for (const route of [...DRAFT_ROUTES, BATCH_ROUTE]) {
      const response = await post(app, route, draft, { 'content-type': type })
      t.match(response.json(), { statusCode: 415, code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE' }, `${route} ${type}`)
    }
  }
  const none = await app.inject({ method: 'POST', url: '/hub/broadcast', payload: Buffer.from(draft) })
  t.equal(none.statusCode, 415)
  t.equal((await post(app, '/broadcast', draft, { 'content-type': 'application/json; charset=utf-8' })).statusCode, 202)
  t.equal(app.sse.stats().published, 1)
})

t.test('a body that is not JSON, or missing, is 400', async (t) => {
  const { app } = await buildRoutes(t)
  for (const payload of ['', '{', '{"data":1}x', 'undefined', '{"data":NaN}', '\uFEFF']) {
    const response = await post(app, '/broadcast', payload)
    t.match(
      response.json(),
      { statusCode: 400, code: /^FST_ERR_|^SSE_HUB_ERR_/, error: 'Bad Request' },
      JSON.stringify(payload)
    )
  }
})

t.test('a body that reaches into prototypes is refused, also in a host that would accept it', async (t) => {
  for (const server of [{}, { onProtoPoisoning: 'ignore', onConstructorPoisoning: 'ignore' } as const]) {
    const { app } = await buildRoutes(t, { server })
    for (const payload of [
      '{"data":1,"__proto__":{"transient":true}}',
      '{"data":{"__proto__":{"polluted":true}}}',
      '{"data":{"constructor":{"prototype":{"polluted":true}}}}'
    ]) {
      const response = await post(app, '/broadcast', payload)
      t.match(response.json(), { statusCode: 400 }, payload)
    }
    t.equal(({} as { polluted?: boolean }).polluted, undefined)
    t.equal(app.sse.stats().published, 0)
  }
})

t.test('a body beyond the limit is 413 before it is read', async (t) => {
  const host = await buildRoutes(t)
  const response = await post(host.app, '/broadcast', { data: 'x'.repeat(2_000_000) })
  t.match(response.json(), { statusCode: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
  const url = await host.listen()
  for (const route of [...DRAFT_ROUTES, BATCH_ROUTE]) {
    const headers = { 'content-type': 'application/json', 'content-length': 10_000_000 }
    const announced = request(`${url}/hub${route}`, { method: 'POST', headers })
    announced.flushHeaders()
    const [{ statusCode }] = (await once(announced, 'response')) as [IncomingMessage]
    t.equal(statusCode, 413, route)
    announced.destroy()
  }
})

t.test('the largest event fits, in any spelling of its JSON', async (t) => {
  const { app } = await buildRoutes(t, { hub: { maxEventBytes: 1_048_576 } })
  const data = '"'.repeat(1_048_576)
  for (const text of [JSON.stringify({ data }), `{"data":"${'\\u0022'.repeat(1_048_576)}"}`]) {
    const response = await post(app, '/broadcast', text)
    t.equal(response.statusCode, 202, `${text.length} bytes`)
  }
})

t.test('a repeated Idempotency-Key returns the first receipt and publishes nothing', async (t) => {
  const clock = new FakeClock()
  const { app } = await buildRoutes(t, { hub: { clock, idempotencyWindow: 60_000 } })
  const ids = async (...requests: [unknown, InjectOptions['headers']][]) => {
    const found: string[] = []
    for (const [draft, headers] of requests)
      found.push((await post(app, '/users/alice/events', draft, headers)).json().id)
    return found
  }
  const [first, again, other, inBody, bodyWins] = await ids(
    [{ data: 1 }, { 'idempotency-key': 'a' }],
    [{ data: 1 }, { 'idempotency-key': 'a' }],
    [{ data: 2 }, { 'idempotency-key': 'b' }],
    [{ data: 1, idempotencyKey: 'a' }, {}],
    [{ data: 3, idempotencyKey: 'c' }, { 'idempotency-key': 'a' }]
  )
  t.equal(again, first)
  t.equal(inBody, first)
  t.not(other, first)
  t.not(bodyWins, first)
  t.same(
    (await app.sse.history({ user: 'alice' })).events.map(({ data }) => data),
    ['1', '2', '3']
  )

  clock.advance(60_001)
  const [later] = await ids([{ data: 4 }, { 'idempotency-key': 'a' }])
  t.not(later, first, 'after its window the key is new')
  t.equal((await post(app, '/broadcast', { data: 1 }, { 'idempotency-key': '' })).statusCode, 400)
})

t.test('a batch is published as a whole, in order, with nothing between', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=`
  const alice = await host.client(`${url}alice&topics=news`)
  const bob = await host.client(`${url}bob`)
  const response = await post(host.app, BATCH_ROUTE, [
    { to: { users: ['alice', 'bob'] }, event: 'order.shipped', data: 1 },
    { to: { topics: ['news', 'sport'] }, data: 2 },
    { to: { everyone: true, users: ['alice'] }, data: 3 },
    { to: { users: ['bob'], topics: ['news'] }, data: 4, transient: true }
  ])
  t.equal(response.statusCode, 202)
  t.match(response.json(), [
    { id: /.+/, streams: 2, users: { alice: 1, bob: 1 } },
    { id: /.+/, streams: 1 },
    { id: /.+/, streams: 2 },
    { id: null, streams: 2 }
  ])
  t.same(
    (await alice.count(4)).map(({ data }) => data),
    ['1', '2', '3', '4']
  )
  t.same(
    (await bob.count(3)).map(({ data }) => data),
    ['1', '3', '4']
  )
})

t.test('a batch with a repeated Idempotency-Key publishes nothing', async (t) => {
  const { app } = await buildRoutes(t)
  const batch = [1, 2, 3].map((data) => ({ to: { users: ['alice'] }, data }))
  const headers = { 'idempotency-key': 'once' }
  const first = await post(app, BATCH_ROUTE, batch, headers)
  t.equal(first.statusCode, 202)
  t.same((await post(app, BATCH_ROUTE, batch, headers)).json(), first.json())
  t.same(
    (await app.sse.history({ user: 'alice' })).events.map(({ id, data }) => [id, data]),
    first.json().map(({ id }: { id: string }, index: number) => [id, `${index + 1}`])
  )
  t.equal((await post(app, BATCH_ROUTE, batch, { 'idempotency-key': '' })).statusCode, 400)
  const own = await post(app, BATCH_ROUTE, [{ to: { users: ['alice'] }, data: 4, idempotencyKey: 'own' }], headers)
  t.equal((await app.sse.send('alice', { data: 4, idempotencyKey: 'own' })).id, own.json()[0].id)
})

t.test('a batch with one invalid event publishes nothing', async (t) => {
  const { app } = await buildRoutes(t, { hub: { maxBatch: 3 } })
  const good = { to: { users: ['alice'] }, data: 1 }
  const wrong: [unknown, number, string, RegExp][] = [
    [{}, 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body: /],
    [[], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body: .*greater or equal to 1/],
    [[good, { data: 1 }], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/1\/to: /],
    [[good, { to: {}, data: 1 }], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/1\/to: /],
    [[good, { to: { users: [] }, data: 1 }], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/1\/to\/users: /],
    [[good, { to: { user: ['bob'] }, data: 1 }], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/1\/to\/user: Unexpected/],
    [[good, { ...good, evnet: 'x' }], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/1\/evnet: Unexpected property/],
    [
      [good, { to: { everyone: true, except: {} }, data: 1 }],
      400,
      'SSE_HUB_ERR_INVALID_REQUEST',
      /^body\/1\/to\/except\/users: /
    ],
    [
      [good, { to: { everyone: true, except: { users: [], topics: [] } }, data: 1 }],
      400,
      'SSE_HUB_ERR_INVALID_REQUEST',
      /^body\/1\/to\/except/
    ],
    [[good, { to: { except: { users: ['a'] } }, data: 1 }], 400, 'SSE_HUB_ERR_INVALID_TARGET', /got nobody/],
    [[good, { to: { users: 'bob' }, data: 1 }], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/1\/to\/users: /],
    [[good, { to: { everyone: false }, data: 1 }], 400, 'SSE_HUB_ERR_INVALID_REQUEST', /^body\/1\/to\/everyone: /],
    [[good, { to: { users: ['a\nb'] }, data: 1 }], 400, 'SSE_HUB_ERR_INVALID_USER', /well-formed string/],
    [[good, { ...good, event: 'hub.x' }], 400, 'SSE_HUB_ERR_RESERVED_EVENT_NAME', /reserved/],
    [[good, { ...good, data: 'x'.repeat(65_537) }], 413, 'SSE_HUB_ERR_EVENT_TOO_LARGE', /65536/],
    [[good, good, good, good], 413, 'SSE_HUB_ERR_BATCH_TOO_LARGE', /at most 3 events; got 4/]
  ]
  for (const [batch, statusCode, code, message] of wrong) {
    const response = await post(app, BATCH_ROUTE, batch)
    t.match(response.json(), { statusCode, code, message }, JSON.stringify(batch).slice(0, 80))
  }
  t.equal(app.sse.stats().published, 0)
  t.same((await app.sse.history({ user: 'alice' })).events, [])
})

t.test('an event of a batch reaches everyone on a topic but the excepted users', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?topics=room&user=`
  const alice = await host.client(`${url}alice`)
  const bob = await host.client(`${url}bob`)
  const response = await post(host.app, BATCH_ROUTE, [
    { to: { topics: ['room'], except: { users: ['alice'] } }, data: 1 },
    { to: { topics: ['room'] }, data: 2 }
  ])
  t.match(response.json(), [{ streams: 1 }, { streams: 2 }])
  t.same(
    (await alice.count(1)).map(({ data }) => data),
    ['2']
  )
  t.same(
    (await bob.count(2)).map(({ data }) => data),
    ['1', '2']
  )
  const { events } = (await host.app.inject('/hub/topics/room/events')).json()
  t.equal(events.length, 2)
})
