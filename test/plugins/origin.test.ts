import { once } from 'node:events'
import { connect } from 'node:http2'
import Fastify, { type FastifyInstance, type FastifyServerOptions, type InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { failOnWarnings } from '../support/build.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { selfSigned } from '../support/self-signed.ts'

failOnWarnings(t)

async function build(
  t: Test,
  options: HubAppOptions = {},
  server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(hubApp, options)
  return app
}

const ALLOWED = 'https://app.example'
/** Every call that a page could make. */
const CALLS: InjectOptions[] = [
  { method: 'HEAD', url: '/events?user=alice' },
  { method: 'GET', url: '/users' },
  { method: 'POST', url: '/broadcast', payload: { data: 1 } },
  { method: 'DELETE', url: '/users/alice/streams' }
]

t.test('a hub without keys answers only to the names of this machine', async (t) => {
  const app = await build(t)
  const own = [
    'localhost',
    'localhost:3000',
    '127.0.0.1:3000',
    '127.8.9.1',
    '[::1]:3000',
    '[::1]',
    'LOCALHOST:1',
    'hub.localhost:3000'
  ]
  const foreign = [
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example#localhost'
  ]
  const odd = [
    'localhost:3000:1',
    'localhost@evil.example',
    '192.168.0.1',
    '0.0.0.0:3000',
    '[::]:3000',
    '127.1',
    'notlocalhost',
    '127.0.0.1.'
  ]
  for (const call of [...CALLS, { url: '/' }, { url: '/stats' }, { url: '/nowhere' }, { url: '/health/nowhere' }]) {
    for (const host of own) t.not((await app.inject({ ...call, headers: { host } })).statusCode, 403, host)
    for (const host of [...foreign, ...odd, ' ']) {
      const response = await app.inject({ ...call, headers: { host } })
      t.equal(response.statusCode, 403, `${call.url} ${host}`)
      if (call.method !== 'HEAD') t.equal(response.json().code, 'SSE_HUB_ERR_FOREIGN_HOST')
    }
  }
  t.match(app.sse.stats(), { opened: 0 })
})

t.test('a hub without keys answers probes to any name, and over HTTP/1.0 without a name', async (t) => {
  const app = await build(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const probes = [
    ['GET /health/live', 200],
    ['GET /health/ready', 200],
    ['HEAD /health/ready', 200],
    ['OPTIONS /', 204]
  ] as const
  for (const [call, status] of probes) {
    const [method, url] = call.split(' ') as ['GET' | 'HEAD' | 'OPTIONS', string]
    t.equal((await app.inject({ method, url, headers: { host: '10.0.0.7:3000' } })).statusCode, status, call)
    const socket = await RawSocket.open(port)
    socket.send(`${call} HTTP/1.0\r\n\r\n`)
    await socket.closed()
    t.match(socket.text, new RegExp(`^HTTP/1\\.1 ${status} `), `${call} without a name`)
  }
  await app.sse.drain()
  for (const [method, url] of [
    ['GET', '/health/ready'],
    ['OPTIONS', '/']
  ] as const) {
    t.equal((await app.inject({ method, url })).statusCode, 503, `${method} ${url} of a hub that drains`)
  }
})

t.test('a hub that is open by configuration, or has keys, answers to any name', async (t) => {
  const keys = { subscribers: { keys: ['s'.repeat(32)] } }
  for (const options of [{ loopbackOnly: false }, { authentication: keys }]) {
    const app = await build(t, options)
    t.equal((await app.inject({ url: '/health/live', headers: { host: 'hub.example' } })).statusCode, 200)
  }
})

t.test('every call of a page of another origin is refused, unless the origin is on the list', async (t) => {
  const app = await build(t, { corsOrigins: [ALLOWED] })
  const host = 'localhost:3000'
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: '' },
    { origin: 'http://localhost:8080' },
    { origin: 'http://localhost' },
    { origin: 'http://localhost:3000.evil.example' },
    { origin: 'https://app.example.evil.example' },
    { origin: 'http://app.example' },
    { origin: 'not a url' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'something new' },
    { 'sec-fetch-site': 'cross-site', origin: 'http://localhost:3000' },
    { 'sec-fetch-site': 'same-site', origin: 'http://localhost:8080' }
  ]
  const own: Record<string, string>[] = [
    {},
    { origin: 'http://localhost:3000' },
    { origin: ALLOWED },
    { origin: ALLOWED, 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'same-origin', origin: 'https://behind-a-proxy.example' },
    { 'sec-fetch-site': 'none' }
  ]
  for (const call of CALLS) {
    const before = app.sse.stats()
    for (const headers of foreign) {
      const response = await app.inject({ ...call, headers: { host, ...headers } })
      t.equal(response.statusCode, 403, `${call.url} ${JSON.stringify(headers)}`)
      if (call.method !== 'HEAD') t.equal(response.json().code, 'SSE_HUB_ERR_FOREIGN_ORIGIN')
    }
    const { refused, ...others } = before
    const expected = { ...others, refused: { ...refused, forbidden: refused.forbidden + foreign.length } }
    t.same(app.sse.stats(), expected, 'the calls changed nothing but a count')
    for (const headers of own) {
      const { statusCode } = await app.inject({ ...call, headers: { host, ...headers } })
      t.ok(statusCode < 300, `${call.url} ${JSON.stringify(headers)}: ${statusCode}`)
    }
  }
})

t.test('the default port of a scheme may be present or absent', async (t) => {
  const app = await build(t)
  for (const [origin, host] of [
    ['http://localhost', 'localhost:80'],
    ['https://localhost', 'localhost:443'],
    ['http://[::1]:3000', '[::1]:3000'],
    ['http://localhost:3000', 'LocalHost:3000']
  ])
    t.equal((await app.inject({ url: '/users', headers: { host, origin } })).statusCode, 200, `${origin} ${host}`)
})

t.test('a page of another origin is refused before authentication', async (t) => {
  let asked = 0
  const authenticate = () => {
    asked++
    return { user: 'alice' }
  }
  const app = await build(t, { hub: { authenticate } })
  t.equal((await app.inject({ url: '/events', headers: { 'sec-fetch-site': 'cross-site' } })).statusCode, 403)
  t.equal(asked, 0)
})

t.test('neither a form nor another body that a page may send without a preflight is read as an event', async (t) => {
  const app = await build(t)
  for (const type of [
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'text/plain;application/json',
    undefined
  ]) {
    const response = await app.inject({
      ...{ method: 'POST', url: '/broadcast', payload: '{"data":1}' },
      headers: type === undefined ? {} : { 'content-type': type }
    })
    t.equal(response.statusCode, 415, type ?? 'none')
  }
  t.equal(app.sse.stats().published, 0)
})

t.test('a hub without keys refuses a request without a host', async (t) => {
  const app = await build(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const raw = await RawSocket.open(port)
  raw.send('GET /users HTTP/1.0\r\n\r\n')
  await once(raw.socket, 'close')
  t.match(raw.text, /^HTTP\/1\.1 403 /)
})

t.test('behind a trusted proxy the proxy names the origin of the hub', async (t) => {
  const headers = { host: '127.0.0.1:3000', origin: 'https://hub.example', 'x-forwarded-host': 'hub.example' }
  for (const [trustProxy, statusCode] of [
    [true, 200],
    [false, 403]
  ] as const) {
    const app = await build(t, {}, { trustProxy })
    t.equal((await app.inject({ url: '/users', headers })).statusCode, statusCode)
    const foreign = { ...headers, origin: 'https://evil.example' }
    t.equal((await app.inject({ url: '/users', headers: foreign })).statusCode, 403)
    const renamed = { host: 'evil.example', 'x-forwarded-host': 'localhost' }
    t.equal((await app.inject({ url: '/users', headers: renamed })).statusCode, 403, 'the host itself must match')
  }
})

t.test('over HTTP/2 the authority is checked like a host', async (t) => {
  const { cert, key } = selfSigned()
  const app = await build(t, {}, {
    http2: true,
    https: { cert, key },
    forceCloseConnections: true
  } as FastifyServerOptions)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const session = connect(url, { ca: cert })
  t.teardown(() => session.destroy())
  const { host } = new URL(url)
  const cases: [object, number][] = [
    [{}, 200],
    [{ ':authority': 'localhost' }, 200],
    [{ ':authority': 'evil.example' }, 403],
    [{ origin: `https://${host}` }, 200],
    [{ origin: 'https://evil.example' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403]
  ]
  for (const [headers, status] of cases) {
    const request = session.request({ ':path': '/users', ...headers })
    request.resume()
    const [answer] = await once(request, 'response')
    t.equal(answer[':status'], status, JSON.stringify(headers))
  }
})
