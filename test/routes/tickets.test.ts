import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { MemoryTickets } from '../../services/access/memory-tickets.ts'
import { Tickets } from '../../services/access/ticket-issuer.ts'
import type { TicketStore } from '../../services/access/ticket-store.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'
import { forge, inSeconds, PUBLISH_SECRET, SECRET, tokenOf } from '../support/tokens.ts'

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

t.test('a backend requests a ticket for a user, which opens streams of that user until it expires', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const before = Date.now()
  const response = await ask(app, bearer(KEY), { user: 'alice', topics: ['orders/*'] })
  t.equal(response.statusCode, 201)
  t.equal(response.headers['cache-control'], 'no-store')
  const { ticket, expiresAt } = response.json()
  t.match(ticket, /^[\w-]{43}$/)
  const epoch = Date.parse(expiresAt) - before
  t.ok(epoch >= 600_000 && epoch < 610_000, `${epoch}`)

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
    'no ticket is part of the history'
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

t.test('a subscriber requests a ticket by header or by cookie, with no more rights than its token', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const exp = inSeconds(60)
  const token = tokenOf('alice', { topics: ['news', 'orders/*'], exp })
  for (const headers of [bearer(token), { cookie: `hub_token=${token}` }]) {
    for (const ticketRequest of [{}, { user: 'alice' }, { topics: ['orders/4*', 'news'], ttl: 86_400_000 }]) {
      const response = await ask(app, headers, ticketRequest)
      t.equal(response.statusCode, 201)
      t.equal(Date.parse(response.json().expiresAt), exp * 1_000, 'it expires no later than the token')
      const client = await StreamClient.open(`${url}/events?ticket=${response.json().ticket}&topics=orders/42`)
      t.match(JSON.parse((await client.event('hub.welcome')).data), { user: 'alice' })
      client.cut()
    }
    for (const ticketRequest of [
      { user: 'bob' },
      { topics: ['secret'] },
      { topics: ['orders*'] },
      { topics: ['*'] },
      { topics: ['news*'] }
    ]) {
      const response = await ask(app, headers, ticketRequest)
      t.match(response.json(), { statusCode: 403, code: 'SSE_HUB_ERR_FORBIDDEN' }, JSON.stringify(ticketRequest))
    }
  }
})

t.test('neither a ticket nor a key without the scope may request a ticket', async (t) => {
  const app = await build(t)
  const { ticket } = (await ask(app, bearer(KEY), { user: 'alice' })).json()
  const again = await app.inject({ method: 'POST', url: `/tickets?ticket=${ticket}`, payload: {} })
  t.equal(again.statusCode, 401)
  t.equal((await ask(app, bearer(ticket))).statusCode, 401)
  const publisher = tokenOf('service', { scope: 'publish read close' }, { key: PUBLISH_SECRET })
  t.equal((await ask(app, bearer(publisher), { user: 'alice' })).statusCode, 403)
})

t.test('an invalid property of a request is refused by its name', async (t) => {
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
  for (const ticketRequest of [...wrong, ...more]) {
    const response = await ask(app, bearer(KEY), ticketRequest)
    t.match(
      response.json(),
      { statusCode: 400, code: /^SSE_HUB_ERR_INVALID_/ },
      JSON.stringify(ticketRequest).slice(0, 60)
    )
  }
  t.equal((await ask(app, bearer(KEY), { user: 'a', topics: ['x'.repeat(70_000)] })).statusCode, 413)
})

t.test('an invalid ticket, or two tickets, open no stream, even beside a valid token', async (t) => {
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

t.test('without its store no ticket is made, and a stream with a ticket gets a retryable rejection', async (t) => {
  const fail = () => Promise.reject(new Error('away'))
  const store: TicketStore = { put: fail, get: fail, deleteUser: fail }
  const app = await build(t, new Tickets({ store }))
  t.match((await ask(app, bearer(KEY), { user: 'alice' })).json(), {
    statusCode: 503,
    code: 'SSE_HUB_ERR_TICKETS_UNAVAILABLE'
  })
  const response = await app.inject(`/events?ticket=${'x'.repeat(43)}`)
  t.equal(response.statusCode, 200)
  t.match(response.payload, '"reason":"error","reconnect":true')
})

t.test('a ticket is valid while the key of its issuer is, on every node that shares the store', async (t) => {
  const store = new MemoryTickets(Date.now)
  const hubWith = async (keys: string, secrets = [SECRET]) => {
    const app = Fastify()
    t.teardown(() => app.close())
    const authentication = {
      ...{ subscribers: { keys: secrets }, publishers: { keys: [PUBLISH_SECRET] } },
      ...{ apiKeys: readApiKeys(keys), tickets: new Tickets({ store }) }
    }
    await app.register(hubApp, { authentication })
    return app
  }
  const other = 'o'.repeat(43)
  const before = await hubWith(`backend:${KEY}:ticket; backend:${other}:ticket`)
  const publisher = forge({ sub: 'mail', exp: inSeconds(60), scope: 'ticket' }, { key: PUBLISH_SECRET })
  const issued = await Promise.all(
    [KEY, other, tokenOf('alice'), publisher].map(
      async (token) => (await ask(before, bearer(token), { user: 'alice' })).json().ticket as string
    )
  )
  const areValid = (app: FastifyInstance) =>
    Promise.all(
      issued.map(async (ticket) => (await app.inject({ method: 'HEAD', url: `/events?ticket=${ticket}` })).statusCode)
    )
  t.same(await areValid(before), [200, 200, 200, 200])
  t.same(await areValid(await hubWith(`backend:${other}:ticket`)), [401, 200, 200, 200], 'a removed key')
  const rotated = await hubWith(`backend:${KEY}:ticket`, ['another secret of the subscribers, long enough'])
  t.same(await areValid(rotated), [200, 401, 401, 200], 'a removed secret')
})

t.test('tickets are revoked by their own user, or by a publisher with the scope "ticket"', async (t) => {
  const app = await build(t)
  const issue = async () => (await ask(app, bearer(KEY), { user: 'alice' })).json().ticket as string
  const revoke = (token: string | undefined, user = 'alice') =>
    app.inject({ method: 'DELETE', url: `/users/${user}/tickets`, headers: token === undefined ? {} : bearer(token) })
  const ticket = await issue()
  t.equal((await revoke(undefined)).statusCode, 401)
  t.equal((await revoke(tokenOf('bob'))).statusCode, 403)
  t.equal((await revoke(forge({ exp: inSeconds(60), scope: 'close' }, { key: PUBLISH_SECRET }))).statusCode, 403)
  t.equal((await app.inject({ method: 'HEAD', url: `/events?ticket=${ticket}` })).statusCode, 200)
  t.same((await revoke(tokenOf('alice'))).json(), { revoked: 1 })
  t.equal((await app.inject({ method: 'HEAD', url: `/events?ticket=${ticket}` })).statusCode, 401)
  await issue()
  t.same((await revoke(KEY)).json(), { revoked: 1 })
  t.same((await revoke(KEY)).json(), { revoked: 0 })
  t.equal((await revoke(KEY, 'a%0Ab')).statusCode, 400)
})

t.test('a token with more topics than a ticket can hold is an error that names the solution', async (t) => {
  const app = await build(t)
  const token = tokenOf('alice', { topics: Array.from({ length: 101 }, (_, at) => `t${at}`) })
  const refused = await ask(app, bearer(token))
  t.match(refused.json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_TICKET', message: /101: choose with "topics"/ })
  t.equal((await ask(app, bearer(token), { topics: ['t7'] })).statusCode, 201)
})
