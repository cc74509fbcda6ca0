import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { buildConsoleOnce } from '../support/built-console.ts'
import { StreamClient } from '../support/stream-client.ts'
import { forge, inSeconds, keyPair, PUBLISH_SECRET, SECRET, tokenOf } from '../support/tokens.ts'

failOnWarnings(t)
await buildConsoleOnce()

const KEY = 'k'.repeat(43)
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const NOBODY = { statusCode: 401, code: 'SSE_HUB_ERR_UNAUTHENTICATED', error: 'Unauthorized' }
const NO_CREDENTIALS = { statusCode: 401, code: 'SSE_HUB_ERR_NO_CREDENTIALS', error: 'Unauthorized' }

type Locks = NonNullable<HubAppOptions['authentication']>

async function build(t: Test, authentication: Locks = {}, options: HubAppOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp, {
    authentication: { subscribers: { keys: [SECRET] }, publishers: { keys: [PUBLISH_SECRET] }, ...authentication },
    ...options
  })
  return app
}

/** The user whose stream the headers open, or the status that refuses it. */
async function openedFor(app: FastifyInstance, headers: Record<string, string>, query = ''): Promise<string | number> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const client = await StreamClient.open(`http://127.0.0.1:${port}/events${query}`, { headers })
  if (client.status !== 200) return client.status
  const { user } = JSON.parse((await client.event('hub.welcome')).data)
  client.cut()
  return user
}

t.test('a token that is signed, has not expired and names a user opens a stream of that user', async (t) => {
  const app = await build(t)
  t.equal(await openedFor(app, bearer(tokenOf('alice'))), 'alice')
  t.equal(await openedFor(app, { authorization: `bearer   ${tokenOf('é/__proto__')}` }), 'é/__proto__')
  t.equal(await openedFor(app, bearer(tokenOf('alice', { nbf: inSeconds(-5), iat: inSeconds(-5) }))), 'alice')
  for (const typ of ['JWT', 'jwt', 'at+jwt', 'application/at+jwt', undefined])
    t.equal(await openedFor(app, bearer(tokenOf('alice', {}, { header: { typ } }))), 'alice', `${typ}`)
})

t.test('each type of key accepts only tokens of its own algorithms', async (t) => {
  const rsa = keyPair('rsa')
  const pairs = [
    [rsa, ['RS256', 'RS384', 'RS512']],
    [keyPair('ec'), ['ES256']],
    [keyPair('ec', 'P-384'), ['ES384']],
    [keyPair('ec', 'P-521'), ['ES512']],
    [keyPair('ed25519'), ['EdDSA']]
  ] as const
  for (const [{ pem, privateKey }, algorithms] of pairs) {
    const app = await build(t, { subscribers: { keys: [pem] } })
    for (const alg of algorithms)
      t.equal(await openedFor(app, bearer(tokenOf('alice', {}, { alg, key: privateKey }))), 'alice', alg)
    t.equal(await openedFor(app, bearer(tokenOf('alice', {}, { alg: 'HS256', key: pem }))), 401)
  }
  const long = 'x'.repeat(64)
  const app = await build(t, { subscribers: { keys: [long] } })
  for (const alg of ['HS256', 'HS384', 'HS512'])
    t.equal(await openedFor(app, bearer(tokenOf('alice', {}, { alg, key: long }))), 'alice', alg)
})

t.test('either of two keys is accepted, so that one can replace the other', async (t) => {
  const { pem, privateKey } = keyPair('ec')
  const app = await build(t, { subscribers: { keys: [SECRET, pem] } })
  t.equal(await openedFor(app, bearer(tokenOf('alice'))), 'alice')
  t.equal(await openedFor(app, bearer(tokenOf('bob', {}, { alg: 'ES256', key: privateKey }))), 'bob')
  // The key of one kind must not be used as one of the other.
  t.equal(await openedFor(app, bearer(tokenOf('eve', {}, { alg: 'HS256', key: pem }))), 401)
})

t.test('all attacks on tokens get the same answer', async (t) => {
  const rsa = keyPair('rsa')
  const foreign = keyPair('rsa')
  const audience = 'hub.example'
  const issuer = 'https://issuer.example'
  const claims = { aud: audience, iss: issuer }
  const app = await build(t, { subscribers: { keys: [rsa.pem], audience, issuer } })
  const sign = (sub: unknown, more: object = {}, header: object = {}) =>
    tokenOf(sub, { ...claims, ...more }, { alg: 'RS256', key: rsa.privateKey, header })
  t.equal(await openedFor(app, bearer(sign('alice'))), 'alice')
  t.equal(await openedFor(app, bearer(sign('alice', { aud: ['other', audience] }))), 'alice')

  const good = sign('alice')
  const [head = '', body = '', seal = ''] = good.split('.')
  const evil = Buffer.from(JSON.stringify({ sub: 'eve', exp: inSeconds(600), ...claims })).toString('base64url')
  const jwk = { kty: 'oct', k: 'AAAA' }
  const attacks: Record<string, string> = {
    'no algorithm': tokenOf('eve', claims, { alg: 'none' }),
    'no algorithm, oddly written': tokenOf('eve', claims, { alg: 'none', header: { alg: 'nOnE' } }),
    'no signature': `${head}.${body}.`,
    'two parts': `${head}.${body}`,
    'a public key as a secret': tokenOf('eve', claims, { alg: 'HS256', key: rsa.pem }),
    'a public key as a secret, trimmed': tokenOf('eve', claims, { alg: 'HS256', key: rsa.pem.trim() }),
    'a foreign key': tokenOf('eve', claims, { alg: 'RS256', key: foreign.privateKey }),
    'a foreign kid': tokenOf('eve', claims, {
      alg: 'RS256',
      key: foreign.privateKey,
      header: { kid: '../../dev/null' }
    }),
    'a key in the header': tokenOf('eve', claims, { alg: 'HS256', key: '\0\0\0', header: { jwk } }),
    'a key elsewhere': tokenOf('eve', claims, {
      ...{ alg: 'RS256', key: foreign.privateKey },
      header: { jku: 'https://evil.example/keys', x5u: 'https://evil.example/cert' }
    }),
    'other claims under the same signature': `${head}.${evil}.${seal}`,
    'an extension that must be understood': sign('eve', {}, { crit: ['b64'], b64: false }),
    'no exp': forge({ sub: 'eve', ...claims }, { alg: 'RS256', key: rsa.privateKey }),
    expired: sign('eve', { exp: inSeconds(-1) }),
    'an exp that is text': sign('eve', { exp: '9999999999' }),
    'an exp that is null': sign('eve', { exp: null }),
    'an exp without end': forge(`{"sub":"eve","exp":1e999,"aud":"${audience}","iss":"${issuer}"}`, {
      ...{ alg: 'RS256', key: rsa.privateKey }
    }),
    'not yet good': sign('eve', { nbf: inSeconds(600) }),
    'for somebody else': sign('eve', { aud: 'other.example' }),
    'for nobody': sign('eve', { aud: undefined }),
    'by somebody else': sign('eve', { iss: 'https://evil.example' }),
    'by nobody': sign('eve', { iss: undefined }),
    'another kind of token': sign('eve', {}, { typ: 'logout+jwt' }),
    'a kind that is not text': sign('eve', {}, { typ: 7 }),
    'a user that is a number': sign(7),
    'a user that is a list': sign(['eve']),
    'a user that is an object': sign({ toString: 'eve' }),
    'a user that is true': sign(true),
    'no user': sign(undefined),
    'an empty user': sign(''),
    'a user with a line end': sign('eve\nadmin'),
    'a user of 257 bytes': sign('e'.repeat(257)),
    'half a character': sign('eve\ud800'),
    'topics that are text': sign('eve', { topics: '*' }),
    'topics that are not texts': sign('eve', { topics: [7] }),
    'a thousand topics and one': sign('eve', { topics: Array.from({ length: 1_001 }, (_, at) => `${at}`) }),
    'claims that are a list': forge([], { alg: 'RS256', key: rsa.privateKey }),
    'claims that are null': forge('null', { alg: 'RS256', key: rsa.privateKey }),
    'no JSON': forge('{', { alg: 'RS256', key: rsa.privateKey }),
    'too long': sign('eve', { padding: 'x'.repeat(8_192) }),
    'four parts': `${good}.x`,
    empty: '..',
    nothing: ''
  }
  const expected = (await app.inject({ url: '/events' })).payload
  for (const [what, token] of Object.entries(attacks)) {
    const response = await app.inject({ url: '/events', headers: bearer(token) })
    t.match(response.json(), NOBODY, what)
    t.equal(response.headers['www-authenticate'], 'Bearer')
    t.equal(response.payload, expected, 'the answer does not say why')
  }
  t.match(app.sse.stats(), { opened: 2 })
})

t.test(
  'a token may come in a cookie; a header takes precedence, and a cookie does not excuse a bad header',
  async (t) => {
    const app = await build(t, { cookie: 'hub_token' })
    const cookie = `theme=dark; hub_token=${tokenOf('alice')}; other=x`
    t.equal(await openedFor(app, { cookie }), 'alice')
    t.equal(await openedFor(app, { cookie, ...bearer(tokenOf('bob')) }), 'bob')
    t.equal(await openedFor(app, { cookie, ...bearer('wrong') }), 401)
    t.equal(await openedFor(app, { cookie, authorization: 'Bearer' }), 401)
    t.equal(
      await openedFor(app, { cookie, authorization: 'Basic eDp5' }),
      'alice',
      'credentials for a proxy are ignored'
    )
    t.equal(await openedFor(app, { cookie: 'hub_token=wrong' }), 401)
    t.equal(await openedFor(app, { cookie: 'hub_token' }), 401)
    t.equal(await openedFor(app, { cookie: `HUB_TOKEN=${tokenOf('alice')}` }), 401)
    const without = await build(t)
    t.equal(await openedFor(without, { cookie }), 401, 'without a configured name no cookie counts')
  }
)

t.test('a cookie sent by a page of another origin opens no stream and makes no ticket', async (t) => {
  const app = await build(t, { cookie: 'hub_token' }, { corsOrigins: ['https://app.example'] })
  const cookie = `hub_token=${tokenOf('alice')}`
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: 'http://localhost:8080' }
  ] as Record<string, string>[]) {
    for (const [method, url] of [
      ['GET', '/events'],
      ['POST', '/tickets'],
      ['POST', '/broadcast']
    ] as const) {
      const payload = method === 'POST' ? { payload: { data: 1 } } : {}
      const response = await app.inject({ method, url, headers: { cookie, ...headers }, ...payload })
      t.match(response.json(), { statusCode: 403, code: 'SSE_HUB_ERR_FOREIGN_ORIGIN' }, `${method} ${url}`)
    }
  }
  t.equal(await openedFor(app, { cookie, origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }), 'alice')
  const published = await app.inject({ method: 'POST', url: '/broadcast', headers: { cookie }, payload: { data: 1 } })
  t.equal(published.statusCode, 401, 'publishing accepts no cookie at all')
  t.match(app.sse.stats(), { opened: 1, published: 0 })
})

t.test('the topics of a token limit the requested topics, at each opening anew', async (t) => {
  const app = await build(t)
  const topics = ['news', 'orders/*']
  const open = (query: string, claims: object = { topics }) => openedFor(app, bearer(tokenOf('alice', claims)), query)
  t.equal(await open('?topics=news,orders/42,orders/'), 'alice')
  for (const asked of ['new', 'news2', 'orders', 'Orders/42', '*', 'news,secret'])
    t.equal(await open(`?topics=${asked}`), 403)
  t.equal(await open('?topics=news', {}), 403, 'a token without topics grants no topics')
  t.equal(await open('?topics=anything', { topics: ['*'] }), 'alice')
  t.equal(await open('', { topics: [] }), 'alice')
})

t.test('rights that shrink while a client is away have shrunk when the client returns', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const open = (claim: string[], query: string, lastEventId?: string) =>
    StreamClient.open(`${url}/events${query}`, { lastEventId, headers: bearer(tokenOf('alice', { topics: claim })) })
  const first = await open(['news', 'secret'], '?topics=news,secret')
  await first.event('hub.welcome')
  await app.sse.publish('news', { data: 'before' })
  await first.count(1)
  first.cut()
  await app.sse.publish('secret', { data: 'a secret' })
  await app.sse.publish('news', { data: 'after' })

  const refused = await open(['news'], '?topics=news,secret', first.lastEventId)
  t.equal(refused.status, 403)
  const back = await open(['news'], '?topics=news', first.lastEventId)
  await app.sse.publish('news', { data: 'live' })
  const got = await back.count(2)
  t.same(
    got.map(({ data }) => data),
    ['after', 'live']
  )
  t.notMatch(back.text, /a secret/)
  back.cut()
})

t.test('a stream ends slightly before its token expires, and may reconnect', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const exp = inSeconds(3)
  const client = await StreamClient.open(`${url}/events`, { headers: bearer(tokenOf('alice', { exp })) })
  await client.end()
  t.ok(Date.now() <= exp * 1_000, `${Date.now()} is not after ${exp}000`)
  t.equal(client.events.at(-1)?.data, '{"reason":"expired","reconnect":true}')
  const far = await StreamClient.open(`${url}/events`, { headers: bearer(tokenOf('alice', { exp: 9e12 })) })
  await far.event('hub.welcome')
  t.equal(app.sse.stats().streams, 1)
  far.cut()
})

/** Routes that need more than a user's own rights: method, path, body, scopes that cover it, scopes that do not. */
const SCOPED: ['GET' | 'POST' | 'DELETE', string, object | undefined, string[], string[]][] = [
  ['POST', '/broadcast', { data: 1 }, ['broadcast', 'publish'], ['user:*,topic:*', 'close', 'read', 'ticket']],
  [
    'POST',
    '/users/alice/events',
    { data: 1 },
    ['user:*', 'user:alice', 'user:al*', 'publish'],
    ['user:bob', 'user:alice2', 'topic:*', 'broadcast']
  ],
  [
    'POST',
    '/topics/orders%2F42/events',
    { data: 1 },
    ['topic:*', 'topic:orders/*', 'publish'],
    ['topic:news', 'topic:order', 'user:*', 'broadcast']
  ],
  [
    'POST',
    '/events',
    [
      { to: { users: ['alice', 'bob'] }, data: 1 },
      { to: { topics: ['a'], everyone: true }, data: 2 }
    ],
    ['publish', 'user:*,topic:a,broadcast'],
    ['user:alice,topic:a,broadcast', 'user:*,topic:b,broadcast', 'user:*,topic:a', 'user:*']
  ],
  ['GET', '/users', undefined, ['read'], ['publish', 'close', 'ticket']],
  ['GET', '/users/alice', undefined, ['read'], ['user:*']],
  ['GET', '/users/alice/events', undefined, ['read'], ['user:*']],
  ['GET', '/stats', undefined, ['read'], ['publish']],
  ['GET', '/settings', undefined, ['read'], ['publish', 'close']],
  ['GET', '/users/alice/streams', undefined, ['read'], ['user:*', 'close']],
  ['DELETE', '/users/alice/streams', undefined, ['close'], ['publish', 'user:*', 'read']],
  ['DELETE', '/streams/x', undefined, ['close'], ['publish', 'user:*', 'read']],
  ['POST', '/tickets', { user: 'alice' }, ['ticket'], ['publish', 'user:*', 'read', 'close']]
]

t.test('a key reads its rights, and a wrong key reads nothing', async (t) => {
  const [half, full] = ['h'.repeat(43), 'f'.repeat(43)]
  const app = await build(t, {
    apiKeys: readApiKeys(`half:${half}:user:alice,read;full:${full}:publish,close,read,ticket`)
  })
  const access = (headers = {}) => app.inject({ url: '/access', headers })
  t.same((await access()).json(), { publish: false, close: false, read: false, ticket: false })
  t.same((await access(bearer(half))).json(), { publish: true, close: false, read: true, ticket: false })
  t.same((await access(bearer(full))).json(), { publish: true, close: true, read: true, ticket: true })
  t.match((await access(bearer('x'.repeat(43)))).json(), NO_CREDENTIALS)
})

t.test('each route requires its own scope, of a key as of a token', async (t) => {
  const words = [...new Set(SCOPED.flatMap(([, , , yes, no]) => [...yes, ...no]))]
  const keyOf = (scopes: string) => `${words.indexOf(scopes)}`.padStart(43, 'x')
  const apiKeys = readApiKeys(words.map((scopes, index) => `key-${index}:${keyOf(scopes)}:${scopes}`).join(';'))
  const app = await build(t, { apiKeys })
  const tokenFor = (scopes: string) =>
    tokenOf('service', { scope: `openid ${scopes.replaceAll(',', ' ')}` }, { key: PUBLISH_SECRET })
  for (const [method, url, payload, yes, no] of SCOPED) {
    const call = async (headers: Record<string, string>) =>
      app.inject({ method, url, headers, ...(payload && { payload }) })
    for (const scopes of yes) {
      for (const token of [keyOf(scopes), tokenFor(scopes)]) {
        const { statusCode } = await call(bearer(token))
        t.ok(statusCode < 300, `${method} ${url} with ${scopes}: ${statusCode}`)
      }
    }
    const { published } = app.sse.stats()
    for (const scopes of no) {
      for (const token of [keyOf(scopes), tokenFor(scopes)])
        t.match(
          (await call(bearer(token))).json(),
          { statusCode: 403, code: 'SSE_HUB_ERR_FORBIDDEN' },
          `${url} with ${scopes}`
        )
    }
    const subscriber = tokenOf('service', { scope: 'publish read close ticket' })
    const bad = [
      'x'.repeat(43),
      keyOf('publish').slice(1),
      `${keyOf('publish')}x`,
      '',
      tokenOf('eve', { scope: 'publish' }, { key: 'y'.repeat(40) })
    ]
    if (url !== '/tickets') bad.push(subscriber)
    for (const token of bad) {
      const response = await call(bearer(token))
      t.match(response.json(), NO_CREDENTIALS, `${method} ${url}`)
      t.equal(response.headers['www-authenticate'], 'Bearer')
    }
    t.match((await call({})).json(), NO_CREDENTIALS)
    t.match((await call({ authorization: keyOf('publish') })).json(), NO_CREDENTIALS)
    t.match((await call({ cookie: `hub_token=${keyOf('publish')}` })).json(), NO_CREDENTIALS)
    t.equal(app.sse.stats().published, published, 'no call without the scope published anything')
  }
  t.equal(
    (await app.inject({ method: 'POST', url: `/broadcast?api_key=${keyOf('publish')}`, payload: { data: 1 } }))
      .statusCode,
    401
  )
})

t.test('neither a key nor a token of a publisher opens a stream', async (t) => {
  const app = await build(t, { apiKeys: readApiKeys(`all:${KEY}:publish,read,close,ticket`) })
  t.equal(await openedFor(app, bearer(KEY)), 401)
  t.equal(await openedFor(app, bearer(tokenOf('alice', { scope: 'publish' }, { key: PUBLISH_SECRET }))), 401)
})

t.test('the body of a request without credentials is not read', async (t) => {
  const app = await build(t, { apiKeys: readApiKeys(`all:${KEY}:publish`) })
  for (const payload of ['{', 'x'.repeat(9_000_000)]) {
    const response = await app.inject({
      method: 'POST',
      url: '/events',
      headers: { 'content-type': 'application/json' },
      payload
    })
    t.equal(response.statusCode, 401)
  }
  const known = await app.inject({
    method: 'POST',
    url: '/events',
    headers: { 'content-type': 'application/json', ...bearer(KEY) },
    payload: '{'
  })
  t.equal(known.statusCode, 400)
})

t.test('probes and the page need no credentials, the calls of the page do', async (t) => {
  const app = await build(t)
  for (const url of ['/health/live', '/health/ready', '/', '/console.js'])
    t.equal((await app.inject(url)).statusCode, 200, url)
  for (const url of ['/stats', '/users', '/events', '/events?user=alice'])
    t.equal((await app.inject(url)).statusCode, 401, url)
})

t.test('a hub with authentication has no demo task, which would publish for every caller', async (t) => {
  const app = await build(t)
  for (const headers of [{}, bearer(tokenOf('alice'))])
    t.equal((await app.inject({ url: '/tasks/demo', headers })).statusCode, 404)
})

t.test('the welcome of a hub with authentication does not count its users and streams', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const client = await StreamClient.open(`${url}/events`, { headers: bearer(tokenOf('alice')) })
  t.notOk('online' in JSON.parse((await client.event('hub.welcome')).data))
  client.cut()
})

t.test('a host may guard its own routes with the same keys, beside a jwt and cookies of its own', async (t) => {
  const { default: fastifyJwt } = await import('@fastify/jwt')
  const { default: fastifyCookie } = await import('@fastify/cookie')
  const { authentication } = await import('../../plugins/authentication.ts')
  const { sseHub } = await import('../../plugins/sse-hub.ts')
  const { hubRoutes } = await import('../../routes/hub-routes.ts')
  for (const isHostFirst of [true, false]) {
    const app = Fastify()
    t.teardown(() => app.close())
    const ofHost = async () => {
      await app.register(fastifyCookie)
      await app.register(fastifyJwt, { secret: 'the secret of the host itself' })
    }
    if (isHostFirst) await ofHost()
    const locks = await authentication(app, {
      subscribers: { keys: [SECRET] },
      cookie: 'hub_token',
      origins: ['https://app.example'],
      apiKeys: readApiKeys(`k:${KEY}:publish`)
    })
    if (!isHostFirst) await ofHost()
    await app.register(sseHub, { authenticate: locks.authenticate, authorizeTopic: locks.authorizeTopic })
    await app.register(hubRoutes, { prefix: '/hub', authorize: locks.authorize })
    const token = tokenOf('alice')
    t.equal(
      (await app.inject({ method: 'POST', url: '/hub/broadcast', headers: bearer(KEY), payload: { data: 1 } }))
        .statusCode,
      202
    )
    t.equal((await app.inject({ method: 'POST', url: '/hub/broadcast', payload: { data: 1 } })).statusCode, 401)
    t.equal(
      (await app.inject({ method: 'HEAD', url: '/hub/events', headers: { cookie: `hub_token=${token}` } })).statusCode,
      200
    )
    t.equal((await app.inject({ method: 'HEAD', url: '/hub/events' })).statusCode, 401)
    for (const [origin, expected] of [
      ['https://evil.example', 403],
      ['https://app.example', 200]
    ] as const) {
      const headers = { cookie: `hub_token=${token}`, origin }
      t.equal((await app.inject({ method: 'HEAD', url: '/hub/events', headers })).statusCode, expected, origin)
    }
  }
})
