import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { consoleUi } from '../../console.ts'
import { sseHub } from '../../plugins/sse-hub.ts'
import { failOnWarnings } from '../support/build.ts'
import { buildConsoleOnce } from '../support/built-console.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)
await buildConsoleOnce()

const ORIGIN = 'https://app.example'

async function build(t: Test, options: HubAppOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp, options)
  return app
}

t.test('the page and its parts are served with a content security policy that no event can bypass', async (t) => {
  const app = await build(t)
  const page = await app.inject('/')
  t.match(page.headers['content-type'], 'text/html')
  const parts = [...page.payload.matchAll(/(?:src|href)="([^"#:]+)"/g)].map(([, path]) => `/${path}`)
  t.ok(parts.length >= 3, `${parts}`)
  const scripts: string[] = []
  for (const path of ['/', ...parts]) {
    const { statusCode, headers } = await app.inject(path)
    t.equal(statusCode, 200, path)
    t.equal(
      headers['content-security-policy'],
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache'
    })
    if (path.endsWith('.js')) scripts.push(`${headers['content-type']}`)
  }
  t.ok(scripts.length > 0 && scripts.every((type) => type.includes('javascript')))
  t.notMatch(
    page.payload,
    /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=/i,
    'no markup that the policy would block'
  )
})

t.test('an unchanged part of the page is not sent again', async (t) => {
  const app = await build(t)
  const { etag } = (await app.inject('/')).headers
  const again = await app.inject({ url: '/', headers: { 'if-none-match': `${etag}` } })
  t.equal(again.statusCode, 304)
  t.equal(again.payload, '')
})

t.test('a host mounts the console under a prefix, beside its own routes and behind its own check', async (t) => {
  const host = Fastify()
  t.teardown(() => host.close())
  host.get('/', async () => 'the page of the host')
  await host.register(consoleUi, {
    prefix: '/ops',
    api: '/hub/',
    onRequest: async (request: FastifyRequest) => {
      if (request.headers.cookie !== 'admin') throw Object.assign(new Error('not an admin'), { statusCode: 403 })
    }
  })
  t.equal((await host.inject('/')).payload, 'the page of the host')
  for (const url of ['/ops', '/ops/', '/ops/console.js']) t.equal((await host.inject(url)).statusCode, 403, url)
  const headers = { cookie: 'admin' }
  t.equal((await host.inject({ url: '/ops', headers })).headers.location, '/ops/')
  const page = await host.inject({ url: '/ops/', headers })
  t.match(page.payload, '<meta name="sse-hub-api" content="/hub/">')
  const script = await host.inject({ url: '/ops/console.js', headers: { ...headers, 'accept-encoding': 'br, gzip' } })
  t.match(script.headers, { 'content-encoding': 'gzip', vary: 'accept-encoding' })
})

t.test('the console of a host is off in production unless the host enables it', async (t) => {
  const { NODE_ENV } = process.env
  process.env.NODE_ENV = 'production'
  t.teardown(() => {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = NODE_ENV
  })
  const host = Fastify()
  t.teardown(() => host.close())
  await host.register(consoleUi, { prefix: '/off' })
  await host.register(consoleUi, { prefix: '/on', enabled: true })
  t.equal((await host.inject('/off/')).statusCode, 404)
  t.equal((await host.inject('/on/')).statusCode, 200)
})

t.test('options of the console that would load code or data from elsewhere are refused', async (t) => {
  for (const options of [
    { api: 'https://elsewhere.example/' },
    { api: '//elsewhere.example/' },
    { api: '/hub' },
    { onReqest: 1 }
  ]) {
    const host = Fastify()
    t.teardown(() => host.close())
    await t.rejects(async () => host.register(consoleUi, options as object), { code: 'SSE_HUB_ERR_INVALID_OPTION' })
  }
})

t.test('no file outside the page is served', async (t) => {
  const app = await build(t)
  for (const path of [
    '/../package.json',
    '/..%2fpackage.json',
    '/%2e%2e/package.json',
    '/package.json',
    '/server.ts',
    '/.git/config',
    '/users//',
    '/users////events'
  ]) {
    const response = await app.inject(path)
    t.ok([400, 403, 404].includes(response.statusCode), `${path}: ${response.statusCode}`)
    t.match(response.json().code, /^(SSE_HUB|FST)_ERR_/, path)
  }
  t.match((await app.inject('/nowhere?ticket=secret')).json(), {
    ...{ statusCode: 404, code: 'SSE_HUB_ERR_NOT_FOUND', error: 'Not Found' },
    message: 'There is no GET /nowhere'
  })
})

t.test('without authentication the query names the user, exactly once', async (t) => {
  const app = await build(t)
  for (const query of ['', '?user=', '?user=a&user=b', '?user[]=a', `?user=${'x'.repeat(257)}`])
    t.match(
      (await app.inject(`/events${query}`)).json(),
      { statusCode: 401, code: 'SSE_HUB_ERR_UNAUTHENTICATED' },
      query
    )
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const client = await StreamClient.open(`${url}/events?user=alice&topics=any,topic`)
  t.match(JSON.parse((await client.event('hub.welcome')).data), { user: 'alice' })
})

t.test('the app has the whole API and the demo task', async (t) => {
  const app = await build(t)
  for (const path of ['/users', '/users/alice', '/users/alice/events', '/stats', '/health/live', '/health/ready'])
    t.equal((await app.inject(path)).statusCode, 200, path)
  for (const path of ['/broadcast', '/users/alice/events', '/topics/news/events'])
    t.equal((await app.inject({ method: 'POST', url: path, payload: { data: 1 } })).statusCode, 202, path)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const task = await StreamClient.open(`${url}/tasks/demo?steps=1`)
  t.same((await task.count(1))[0]?.data, '{"step":0,"steps":1}')
})

t.test('options of the hub override those that the app sets', async (t) => {
  const app = await build(t, { hub: { authenticate: () => ({ user: 'somebody' }), maxEventBytes: 3 } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const client = await StreamClient.open(`${url}/events?user=alice`)
  t.match(JSON.parse((await client.event('hub.welcome')).data), { user: 'somebody' })
  t.equal((await app.inject({ method: 'POST', url: '/broadcast', payload: { data: 'long' } })).statusCode, 413)
})

t.test('only pages of the listed origins may use the hub, with credentials', async (t) => {
  const app = await build(t, { corsOrigins: [ORIGIN, 'http://localhost:8080'] })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  for (const [origin, isAllowed] of [
    [ORIGIN, true],
    ['http://localhost:8080', true],
    ['https://evil.example', false],
    ['https://app.example.evil.example', false],
    ['http://app.example', false],
    ['null', false]
  ] as const) {
    const client = await StreamClient.open(`${url}/events?user=alice`, { headers: { origin } })
    t.equal(client.status, isAllowed ? 200 : 403)
    const { headers } = client.response
    t.equal(headers['access-control-allow-origin'], isAllowed ? origin : undefined, origin)
    t.match(headers.vary, /Origin/)
    if (isAllowed) t.equal(headers['access-control-allow-credentials'], 'true')
    client.cut()

    const refusal = await app.inject({ url: '/events', headers: { origin } })
    t.equal(refusal.headers['access-control-allow-origin'], isAllowed ? origin : undefined, `${origin}, of an error`)
  }
})

t.test('the answer to a preflight allows the headers of event sources and publishers', async (t) => {
  const app = await build(t, { corsOrigins: [ORIGIN] })
  for (const [url, method] of [
    ['/events', 'GET'],
    ['/broadcast', 'POST'],
    ['/users/alice/streams', 'DELETE']
  ] as const) {
    const { statusCode, headers } = await app.inject({
      method: 'OPTIONS',
      url,
      headers: {
        origin: ORIGIN,
        'access-control-request-method': method,
        'access-control-request-headers': 'last-event-id, cache-control, authorization, content-type, idempotency-key'
      }
    })
    t.equal(statusCode, 204)
    t.equal(headers['access-control-allow-origin'], ORIGIN)
    t.equal(headers['access-control-allow-credentials'], 'true')
    t.match(headers['access-control-allow-methods'], method)
    const allowed = `${headers['access-control-allow-headers']}`.toLowerCase()
    for (const name of ['last-event-id', 'cache-control', 'authorization', 'content-type', 'idempotency-key'])
      t.match(allowed, name)
  }
})

t.test('without a list there are no CORS headers', async (t) => {
  const app = await build(t)
  const { headers } = await app.inject({ url: '/stats', headers: { origin: ORIGIN } })
  t.equal(headers['access-control-allow-origin'], undefined)
})

t.test('below a prefix the whole hub works, and the rest of the host is not touched', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ from: 'the host' }))
  app.get('/own', async () => 'own')
  await app.register(hubApp, { prefix: '/hub' })
  const redirect = await app.inject('/hub?theme=dark')
  t.match(
    { status: redirect.statusCode, location: redirect.headers.location },
    { status: 302, location: '/hub/?theme=dark' }
  )
  const page = await app.inject('/hub/')
  t.match(page.headers['content-type'], 'text/html')
  for (const [, path] of page.payload.matchAll(/(?:src|href)="([^"#:]+)"/g))
    t.equal((await app.inject(`/hub/${path}`)).statusCode, 200, `${path}`)
  const published = await app.inject({ method: 'POST', url: '/hub/broadcast', payload: { data: 'x' } })
  t.equal(published.statusCode, 202)
  t.equal((await app.inject('/hub/nowhere')).json().code, 'SSE_HUB_ERR_NOT_FOUND')
  t.same((await app.inject('/nowhere')).json(), { from: 'the host' })
  t.equal((await app.inject('/')).statusCode, 404)
  // Only the hub's own routes are for names of this machine alone.
  const headers = { host: 'shop.example' }
  t.equal((await app.inject({ url: '/own', headers })).statusCode, 200)
  t.equal((await app.inject({ url: '/hub/stats', headers })).statusCode, 403)
})

t.test(
  "beside a hub of the host's own, the app serves that hub and leaves it open when it fails to start",
  async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(sseHub, { authenticate: () => ({ user: 'alice' }) })
    await app.register(hubApp, { prefix: '/hub' })
    const client = await StreamClient.open(`${await app.listen({ port: 0 })}/hub/events`)
    await client.event('hub.welcome')
    t.match(JSON.parse(client.events[0]?.data ?? ''), { user: 'alice' })
    await app.sse.send('alice', { data: 'by the host' })
    t.equal((await client.count(1))[0]?.data, 'by the host')

    const other = Fastify()
    t.teardown(() => other.close())
    await other.register(sseHub)
    await t.rejects(async () => other.register(hubApp, { hub: {} }), { message: /Option hubApp\.hub: is not allowed/ })
    t.equal(await other.sse.ready(), true)
  }
)

t.test('an option that the app does not know stops the start', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => app.register(hubApp, { corsOrigin: [] } as never), { code: 'SSE_HUB_ERR_INVALID_OPTION' })
})

t.test(
  "at the root the app leaves unknown paths to the host's handler, or else answers without the query",
  async (t) => {
    const own = Fastify()
    t.teardown(() => own.close())
    own.setNotFoundHandler((_request, reply) => reply.code(404).send({ from: 'the host' }))
    await own.register(hubApp)
    t.same((await own.inject('/nowhere')).json(), { from: 'the host' })
    const later = Fastify()
    t.teardown(() => later.close())
    await later.register(hubApp, { handleNotFound: false })
    later.setNotFoundHandler((_request, reply) => reply.code(404).send({ from: 'the host' }))
    t.same((await later.inject('/nowhere')).json(), { from: 'the host' })
    const app = await build(t)
    const unknown = await app.inject('/nowhere?ticket=secret')
    t.match(unknown.json(), { code: 'SSE_HUB_ERR_NOT_FOUND' })
    t.notMatch(unknown.payload, 'secret')
  }
)
