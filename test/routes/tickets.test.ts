import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../environment/api-keys.ts'
import { type TicketStore, Tickets } from '../../services/tickets.ts'
import { failOnWarnings } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'
import { inSeconds, PUBLISH_SECRET, SECRET, tokenOf } from '../support/tokens.ts'

failOnWarnings(t)

const KEY = 'k'.repeat(43)
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function build(t: Test, tickets?: Tickets): Promise<FastifyInstance> {
  const app = Fastify({ logger: false })
  t.teardown(() => app.close())
  await app.register(hubApp, {
    authentication: {
      subscribers: { keys: [SECRET] },
      publishers: { keys: [PUBLISH_SECRET] },
      apiKeys: readApiKeys(`backend:${KEY}:ticket`),
      cookie: 'hub_token',
      tickets
    }
  })
  return app
}

const ask = (app: FastifyInstance, headers: Record<string, string>, payload: object = {}) =>
  app.inject({ method: 'POST', url: '/tickets', headers, payload })

t.test('a backend has a ticket made for its user, which opens his stream as often as he comes back', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const before = Date.now()
  const response = await ask(app, bearer(KEY), { user: 'alice', topics: ['orders/*'] })
  t.equal(response.statusCode, 201)
  t.equal(response.headers['cache-control'], 'no-store')
  const { ticket, expiresAt } = response.json()
  t.match(ticket, /^[\w-]{43}$/)
  const life = Date.parse(expiresAt) - before
  t.ok(life >= 600_000 && life < 610_000, `${life}`)

  const open = (lastEventId?: string) =>
    StreamClient.open(`${url}/events?ticket=${ticket}&topics=orders/42`, { lastEventId })
  const first = await open()
  t.match(JSON.parse((await first.event('hub.welcome')).data), { user: 'alice' })
  await app.sse.publish('orders/42', { data: 1 })
  await first.count(1)
  first.cut()
  await app.sse.send('alice', { data: 2 })
  const second = await open(first.lastEventId)
  t.same(
    (await second.count(1)).map(({ data }) => data),
    ['2']
  )
  second.cut()
  t.equal((await StreamClient.open(`${url}/events?ticket=${ticket}&topics=secret`)).status, 403)
  const { events } = await app.sse.history({ user: 'alice' })
  t.same(
    events.map(({ data }) => data),
    ['2'],
    'no ticket is ever history'
  )
})

t.test('a stream ends with its ticket, and the ticket opens no other', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const { ticket, expiresAt } = (await ask(app, bearer(KEY), { user: 'alice', ttl: 2_500 })).json()
  const client = await StreamClient.open(`${url}/events?ticket=${ticket}`)
  await client.end()
  t.ok(Date.now() <= Date.parse(expiresAt))
  t.equal(client.events.at(-1)?.data, '{"reason":"expired","reconnect":true}')
})

t.test(
  'a subscriber has a ticket made for himself, by header or by cookie, that is worth no more than his token',
  async (t) => {
    const app = await build(t)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const exp = inSeconds(60)
    const token = tokenOf('alice', { topics: ['news', 'orders/*'], exp })
    for (const headers of [bearer(token), { cookie: `hub_token=${token}` }]) {
      for (const wish of [{}, { user: 'alice' }, { topics: ['orders/4*', 'news'], ttl: 86_400_000 }]) {
        const response = await ask(app, headers, wish)
        t.equal(response.statusCode, 201)
        t.equal(Date.parse(response.json().expiresAt), exp * 1_000, 'no minute more than his token')
        const client = await StreamClient.open(`${url}/events?ticket=${response.json().ticket}&topics=orders/42`)
        t.match(JSON.parse((await client.event('hub.welcome')).data), { user: 'alice' })
        client.cut()
      }
      for (const wish of [
        { user: 'bob' },
        { topics: ['secret'] },
        { topics: ['orders*'] },
        { topics: ['*'] },
        { topics: ['news*'] }
      ]) {
        const response = await ask(app, headers, wish)
        t.match(response.json(), { statusCode: 403, code: 'SSE_HUB_ERR_FORBIDDEN' }, JSON.stringify(wish))
      }
    }
  }
)

t.test('a ticket makes no ticket, and neither does a key without the scope', async (t) => {
  const app = await build(t)
  const { ticket } = (await ask(app, bearer(KEY), { user: 'alice' })).json()
  const again = await app.inject({ method: 'POST', url: `/tickets?ticket=${ticket}`, payload: {} })
  t.equal(again.statusCode, 401)
  t.equal((await ask(app, bearer(ticket))).statusCode, 401)
  const publisher = tokenOf('service', { scope: 'publish read close' }, { key: PUBLISH_SECRET })
  t.equal((await ask(app, bearer(publisher), { user: 'alice' })).statusCode, 403)
})

t.test('a wish that is wrong is refused with its name', async (t) => {
  const app = await build(t)
  const wrong = [
    {},
    { user: '' },
    { user: 7 },
    { user: 'a', ttl: 0 },
    { user: 'a', ttl: 86_400_001 },
    { user: 'a', ttl: '5000' }
  ]
  const more = [
    { user: 'a', topics: 'news' },
    { user: 'a', topics: Array(101).fill('x') },
    { user: 'a', expiresAt: 5 },
    { user: 'a\n' }
  ]
  for (const wish of [...wrong, ...more]) {
    const response = await ask(app, bearer(KEY), wish)
    t.match(response.json(), { statusCode: 400, code: /^SSE_HUB_ERR_INVALID_/ }, JSON.stringify(wish).slice(0, 60))
  }
  t.equal((await ask(app, bearer(KEY), { user: 'a', topics: ['x'.repeat(70_000)] })).statusCode, 413)
})

t.test('what is no ticket, or is two, opens nothing, whatever else is there', async (t) => {
  const app = await build(t)
  const { ticket } = (await ask(app, bearer(KEY), { user: 'alice' })).json()
  const cookie = `hub_token=${tokenOf('alice')}`
  for (const query of [
    'ticket=',
    `ticket=${'x'.repeat(43)}`,
    `ticket=${ticket}x`,
    `ticket=${ticket}&ticket=${ticket}`,
    'ticket[]=x'
  ])
    t.equal((await app.inject({ method: 'HEAD', url: `/events?${query}` })).statusCode, 401, query)
  t.equal((await app.inject({ method: 'HEAD', url: '/events?ticket=wrong', headers: { cookie } })).statusCode, 401)
  t.equal(
    (await app.inject({ method: 'HEAD', url: `/events?ticket=${ticket}`, headers: bearer('wrong') })).statusCode,
    401
  )
  t.equal((await app.inject({ method: 'HEAD', url: `/events?ticket=${ticket}` })).statusCode, 200)
})

t.test('while the store is away no ticket is made, and who comes with one is told to come back', async (t) => {
  const store: TicketStore = {
    put: () => Promise.reject(new Error('away')),
    get: () => Promise.reject(new Error('away'))
  }
  const app = await build(t, new Tickets({ store }))
  t.match((await ask(app, bearer(KEY), { user: 'alice' })).json(), {
    statusCode: 503,
    code: 'SSE_HUB_ERR_TICKETS_UNAVAILABLE'
  })
  const response = await app.inject(`/events?ticket=${'x'.repeat(43)}`)
  t.equal(response.statusCode, 200)
  t.match(response.payload, '"reason":"error","reconnect":true')
})
