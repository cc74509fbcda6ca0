import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { PUBLISH_SECRET, tokenOf } from '../support/tokens.ts'

failOnWarnings(t)

const LIMIT = 5
const KEYS = ['a', 'b'].map((letter) => letter.repeat(43)) as [string, string]

async function build(
  t: Test,
  options: HubAppOptions = {},
  server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(hubApp, { rateLimit: LIMIT, ...options })
  return app
}

interface Caller {
  readonly remoteAddress?: string
  readonly headers?: Record<string, string>
  readonly url?: string
}

/** The statuses of `count` calls, one after the other. */
async function statuses(
  app: FastifyInstance,
  calls: number,
  { url = '/broadcast', ...caller }: Caller = {}
): Promise<number[]> {
  const found: number[] = []
  for (let call = 0; call < calls; call++) {
    const { statusCode } = await app.inject({ method: 'POST', url, payload: { data: 1 }, ...caller })
    found.push(statusCode)
  }
  return found
}

const taken = (found: number[]) => found.filter((status) => status === 202).length

t.test('calls of one address beyond the rate are refused with the time to retry', async (t) => {
  const app = await build(t)
  const found = await statuses(app, 50)
  t.same(new Set(found), new Set([202, 429]))
  t.ok(taken(found) >= LIMIT)
  let refused = await app.inject({ method: 'POST', url: '/broadcast', payload: { data: 1 } })
  // The calls may straddle two windows.
  while (refused.statusCode !== 429) {
    refused = await app.inject({ method: 'POST', url: '/broadcast', payload: { data: 1 } })
  }
  t.match(refused.json(), {
    ...{ statusCode: 429, code: 'SSE_HUB_ERR_RATE_LIMITED', error: 'Too Many Requests' },
    message: /try again in 1 s/
  })
  t.equal(refused.headers['retry-after'], '1')
  t.equal(
    await statuses(app, 1, { remoteAddress: '127.0.0.2' }).then(taken),
    1,
    'another address has a limit of its own'
  )
  t.equal((await app.inject('/users')).statusCode, 200, 'reading is not counted')
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

t.test('the rate of an address counts all routes that change state', async (t) => {
  const app = await build(t)
  const found: number[] = []
  for (let call = 0; call < 20; call++) {
    found.push(...(await statuses(app, 1, { url: '/users/alice/events' })))
    found.push((await app.inject({ method: 'DELETE', url: '/users/alice/streams' })).statusCode)
  }
  t.ok(found.filter((status) => status === 429).length > 10)
})

t.test('a key is counted on its own, over all addresses', async (t) => {
  const apiKeys = readApiKeys(KEYS.map((key, index) => `key${index}:${key}:publish`).join(';'))
  const app = await build(t, { authentication: { apiKeys } })
  const as = (key: number, last: number): Caller => ({
    remoteAddress: `10.0.0.${last}`,
    headers: { authorization: `Bearer ${KEYS[key]}` }
  })
  const found: number[] = []
  for (let last = 1; last <= 40; last++) found.push(...(await statuses(app, 1, as(0, last))))
  t.ok(found.includes(429), 'forty addresses, one call each')
  t.equal(taken(await statuses(app, 1, as(1, 100))), 1, 'another key has a limit of its own')
  t.equal(taken(await statuses(app, 1, as(1, 1))), 1, 'also from the same address')
})

t.test('an address that guesses keys, tokens or tickets is refused, for every method and route', async (t) => {
  const guess = { authorization: `Bearer ${'x'.repeat(43)}` }
  const ways: [method: 'GET' | 'HEAD' | 'DELETE', url: string, headers: Record<string, string>][] = [
    ['GET', '/users', guess],
    ['GET', '/users/alice', guess],
    ['GET', '/stats', guess],
    ['HEAD', '/stats', guess],
    ['GET', '/users/alice/events', guess],
    ['DELETE', '/users/alice/streams', guess]
  ]
  for (const [method, url, headers] of ways) {
    const app = await build(t, {
      hub: { clock: new FakeClock() },
      authentication: { apiKeys: readApiKeys(`key:${KEYS[0]}:publish,read`) }
    })
    const found: number[] = []
    for (let call = 0; call < 50; call++) found.push((await app.inject({ method, url, headers })).statusCode)
    t.same(new Set(found), new Set([401, 429]), `${method} ${url}`)
    t.ok(found.filter((status) => status === 401).length < 25, `${method} ${url}`)
    t.match(app.sse.stats().refused, { unauthenticated: Number, rateLimited: Number })
    t.equal(app.sse.stats().refused.rateLimited, found.filter((status) => status === 429).length)
  }
})

t.test(
  'an address that guesses cannot tell a valid key from an invalid one; other addresses and probes are served',
  async (t) => {
    const app = await build(t, {
      hub: { clock: new FakeClock() },
      authentication: { apiKeys: readApiKeys(`key:${KEYS[0]}:publish,read`) }
    })
    const good = { authorization: `Bearer ${KEYS[0]}` }
    const bad = { authorization: `Bearer ${'x'.repeat(43)}` }
    let refused = await app.inject({ url: '/stats', headers: bad })
    while (refused.statusCode !== 429) refused = await app.inject({ url: '/stats', headers: bad })
    t.equal(refused.headers['retry-after'], '1')
    t.equal((await app.inject({ url: '/stats', headers: good })).statusCode, 429)
    t.equal((await app.inject({ url: '/stats', headers: good, remoteAddress: '192.0.2.1' })).statusCode, 200)
    t.equal((await app.inject('/health/live')).statusCode, 200)
    t.equal((await app.inject('/')).statusCode, 200)
  }
)

t.test('an event source of an address that guesses tickets gets a retryable rejection', async (t) => {
  const app = await build(t, {
    hub: { clock: new FakeClock() },
    authentication: { apiKeys: readApiKeys(`key:${KEYS[0]}:publish,read`) }
  })
  const answers: string[] = []
  for (let call = 0; call < 30; call++) {
    const { statusCode, payload } = await app.inject(`/events?ticket=guess${call}`)
    answers.push(statusCode === 200 ? payload : `${statusCode}`)
  }
  t.ok(answers.filter((answer) => answer === '401').length < 15)
  const rejections = answers.filter((answer) => answer !== '401')
  t.ok(rejections.length > 10)
  for (const answer of rejections) t.match(answer, /"reason":"limit","reconnect":true}\nretry: \d+\n/)
})

t.test('guesses of keys are counted, too', async (t) => {
  const app = await build(t, { authentication: { apiKeys: readApiKeys(`key:${KEYS[0]}:publish`) } })
  const found = await statuses(app, 50, { headers: { authorization: `Bearer ${'x'.repeat(43)}` } })
  t.same(new Set(found), new Set([401, 429]))
})

t.test('behind a trusted proxy the client is counted, and its own forwarded header is ignored', async (t) => {
  const from = (address: string): Caller => ({ headers: { 'x-forwarded-for': address } })
  const untrusting = await build(t)
  const pretended: number[] = []
  for (let last = 1; last <= 40; last++) pretended.push(...(await statuses(untrusting, 1, from(`10.0.0.${last}`))))
  t.ok(pretended.includes(429))
  const trusting = await build(t, {}, { trustProxy: true })
  for (let last = 1; last <= 40; last++) t.equal(taken(await statuses(trusting, 1, from(`10.0.0.${last}`))), 1)
})

t.test('addresses of one IPv6 network count as one', async (t) => {
  const app = await build(t)
  const found: number[] = []
  for (let last = 1; last <= 40; last++)
    found.push(...(await statuses(app, 1, { remoteAddress: `2001:db8::${last.toString(16)}` })))
  t.ok(found.includes(429))
})

t.test('0 means no limit', async (t) => {
  const app = await build(t, { rateLimit: 0 })
  t.equal(taken(await statuses(app, 100)), 100)
})

t.test('tokens without a subject, or with that of an API key, do not consume the rate of another caller', async (t) => {
  const app = await build(t, {
    hub: { clock: new FakeClock() },
    authentication: { apiKeys: readApiKeys(`backend:${KEYS[0]}:publish`), publishers: { keys: [PUBLISH_SECRET] } }
  })
  const callers = [
    KEYS[0],
    tokenOf('backend', { scope: 'publish' }, { key: PUBLISH_SECRET }),
    tokenOf(undefined, { scope: 'publish', jti: 'one' }, { key: PUBLISH_SECRET }),
    tokenOf(undefined, { scope: 'publish', jti: 'two' }, { key: PUBLISH_SECRET })
  ]
  for (const token of callers) {
    const found = await statuses(app, 4 * LIMIT, { headers: { authorization: `Bearer ${token}` } })
    t.ok(taken(found) >= LIMIT, `${taken(found)}`)
    t.ok(found.includes(429))
  }
})
