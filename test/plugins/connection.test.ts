import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { RawSocket } from '../support/raw-socket.ts'

failOnWarnings(t)

const events = (app: FastifyInstance) => app.get('/events', (request, reply) => app.sse.connect(request, reply))

t.test('HEAD is answered with the headers of a stream, opens no stream, and keeps the connection', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const raw = await RawSocket.open(host.port)
  for (let time = 1; time <= 2; time++) {
    raw.text = ''
    raw.send('HEAD /events?user=alice HTTP/1.1\r\nHost: hub\r\n\r\n')
    await raw.until(() => raw.text.endsWith('\r\n\r\n'), 'an answer')
    t.match(raw.head, /^HTTP\/1\.1 200 OK\r\n/)
    t.match(raw.head.toLowerCase(), 'content-type: text/event-stream')
  }
  t.equal((await host.app.inject({ method: 'HEAD', url: '/events' })).statusCode, 401)
  t.match(host.app.sse.stats(), { streams: 0, opened: 0 })
  raw.socket.destroy()
})

t.test('other methods are not found on the route of a stream, and the CORS of the host answers OPTIONS', async (t) => {
  const { app } = await buildHub(t)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)
    t.equal((await app.inject({ method, url: '/events?user=alice' })).statusCode, 404, method)

  const { app: withCors } = await buildHub(t, {
    host: async (app) => {
      await app.register(import('@fastify/cors'), { origin: ['https://app.example'], credentials: true })
      events(app)
    }
  })
  const preflight = await withCors.inject({
    method: 'OPTIONS',
    url: '/events',
    headers: {
      origin: 'https://app.example',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'last-event-id'
    }
  })
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers, { 'access-control-allow-origin': 'https://app.example' })
})

t.test('500 pipelined stream requests on one socket leave nothing behind', async (t) => {
  const host = await buildHub(t, { hub: { heartbeatInterval: 100 } })
  await host.listen()
  const raw = await RawSocket.open(host.port)
  raw.send('GET /events?user=alice HTTP/1.1\r\nHost: hub\r\n\r\n'.repeat(500))
  await raw.closed()
  const alive = await host.client(`http://127.0.0.1:${host.port}/events?user=bob`)
  const { opened, closed } = host.app.sse.stats()
  t.ok(opened <= 2, `${opened} streams were opened, bob's among them`)
  t.equal(host.open, 1, "only bob's is left")
  t.equal(closed.client, opened - 1)
  t.equal((await host.app.sse.send('alice', { data: 1 })).streams, 0)
  await alive.event('hub.heartbeat')
  t.same(host.errors, [])
})

t.test('a request behind an open stream is not answered in the middle of it', async (t) => {
  const host = await buildHub(t, {
    host: (app) => {
      events(app)
      app.get('/plain', async () => 'the answer to something else')
    }
  })
  await host.listen()
  const raw = await RawSocket.stream(host.port, '/events?user=alice')
  raw.send('GET /plain HTTP/1.1\r\nHost: hub\r\n\r\n')
  for (let data = 1; data <= 3; data++) await host.app.sse.send('alice', { data })
  await raw.until(() => raw.parser.events.length === 4, 'three events after the welcome')
  t.equal(await host.app.sse.disconnect('alice', { reconnect: true }), 1)
  await raw.closed()
  t.ok(raw.parser.isAtBoundary)
  t.equal(raw.parser.events.at(-1)?.event, 'hub.close')
  t.notMatch(raw.text, 'the answer to something else')
})

t.test('a second stream request behind an open stream is refused, and both are gone', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const raw = await RawSocket.stream(host.port, '/events?user=alice')
  await host.untilOpened(1)
  raw.send('GET /events?user=alice HTTP/1.1\r\nHost: hub\r\n\r\n')
  await raw.closed()
  await host.untilClosed(1)
  t.match(host.app.sse.stats(), { streams: 0, opened: 1, closed: { client: 1 } })
})

t.test('bytes on the socket of a stream that are not a request end only that stream', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const bob = await host.client(`http://127.0.0.1:${host.port}/events?user=bob`)
  const raw = await RawSocket.stream(host.port, '/events?user=alice')
  await host.untilOpened(2)
  raw.send('\0\0\0 nonsense \r\n\r\n'.repeat(2_000))
  await raw.closed()
  await host.untilClosed(1)
  await host.app.sse.broadcast({ data: 'fence' })
  t.equal((await bob.count(1))[0]?.data, 'fence')
})

t.test('a client that keeps sending behind its request loses its stream after 16 KiB', async (t) => {
  const host = await buildHub(t, {
    host: (app) => {
      events(app)
      app.post('/plain', async () => 'the answer to something else')
    }
  })
  await host.listen()
  const head = 'GET /events?user=alice HTTP/1.1\r\nHost: hub\r\n'
  const post = 'POST /plain HTTP/1.1\r\nHost: hub\r\nContent-Type: text/plain\r\nContent-Length: 900000\r\n\r\n'
  const floods: [string, string, string][] = [
    ['line ends, which a parser skips', `${head}\r\n`, '\r\n'.repeat(512)],
    ['the body of another request', `${head}\r\n${post}`, 'x'.repeat(1_024)],
    ['a body of its own', `${head}Content-Length: 900000\r\n\r\n`, 'x'.repeat(1_024)],
    [
      'one request after the other',
      `${head}\r\n`,
      `GET /none HTTP/1.1\r\nHost: hub\r\nX-Pad: ${'x'.repeat(900)}\r\n\r\n`
    ]
  ]
  for (const [index, [what, opening, more]] of floods.entries()) {
    const raw = await RawSocket.open(host.port)
    raw.send(opening)
    await raw.until(() => raw.text.includes('hub.welcome'), 'the welcome')
    // The bytes below the limit, and one more write.
    for (let sent = 0; sent < 12; sent++) raw.send(more)
    await host.app.sse.send('alice', { data: 'still here' })
    await raw.until(() => raw.text.includes('still here'), `the stream, after 12 KiB of ${what}`)
    for (let sent = 0; sent < 12; sent++) raw.send(more)
    await raw.closed()
    await host.untilClosed(index + 1)
    t.notMatch(raw.text, 'something else', what)
    t.equal(raw.text.split('HTTP/1.1 ').length, 2, 'one answer and no other')
  }
  t.same(
    host.closed,
    floods.map(() => 'client')
  )
  t.same(host.errors, [])
})

t.test('timeouts of the host that end ordinary requests do not end a stream', async (t) => {
  const limits = {
    handlerTimeout: 150,
    connectionTimeout: 150,
    requestTimeout: 150,
    keepAliveTimeout: 150,
    maxRequestsPerSocket: 1,
    http: { connectionsCheckingInterval: 25, headersTimeout: 150 }
  }
  const host = await buildHub(t, {
    server: limits,
    hub: { heartbeatInterval: 0 },
    host: (app) => {
      events(app)
      app.get('/hang', () => new Promise(() => {}))
      app.get('/plain', async () => 'plain')
    }
  })
  const url = await host.listen()
  const client = await host.client(`${url}/events?user=alice`)

  // Each limit cuts this later request, so by then the stream has been silent for longer than all of them.
  const hanging = await fetch(`${url}/hang`)
  t.equal(hanging.status, 503, 'handlerTimeout')
  const idle = await RawSocket.open(host.port)
  await idle.closed()
  const halfSent = await RawSocket.open(host.port)
  halfSent.send('GET /plain HTTP/1.1\r\nHost: hub\r\nX-Half')
  await halfSent.closed()

  await host.app.sse.send('alice', { data: 'still here' })
  t.equal((await client.count(1))[0]?.data, 'still here')
  t.same(host.closed, [])
})

t.test('a stream may be the second request of a connection that is kept alive', async (t) => {
  const host = await buildHub(t, {
    server: { maxRequestsPerSocket: 2 },
    host: (app) => {
      events(app)
      app.get('/plain', async () => 'plain')
    }
  })
  await host.listen()
  const raw = await RawSocket.open(host.port)
  raw.send('GET /plain HTTP/1.1\r\nHost: hub\r\n\r\n')
  await raw.until(() => raw.text.endsWith('plain'), 'the first answer')
  raw.text = ''
  raw.send('GET /events?user=alice HTTP/1.1\r\nHost: hub\r\n\r\n')
  await raw.until(() => raw.text.includes('hub.welcome'), 'the welcome')
  await host.app.sse.send('alice', { data: 'x' })
  await raw.until(() => raw.body.endsWith('\n\n') && raw.body.includes('data: x\n'), 'the event')
  t.match(raw.head, /^HTTP\/1\.1 200 OK\r\n/)
  raw.socket.destroy()
})

t.test('an old HTTP/1.0 client gets its stream', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const raw = await RawSocket.open(host.port)
  raw.send('GET /events?user=alice HTTP/1.0\r\n\r\n')
  await raw.until(() => raw.text.includes('hub.welcome'), 'the welcome')
  t.equal(raw.parser.events[0]?.event, 'hub.welcome')
  t.notMatch(raw.head, /^transfer-encoding/im, 'its body has no chunks, which HTTP/1.0 does not have')
  t.match(raw.head, /^connection: close$/im)
  t.match(raw.text, '\r\n\r\nevent: hub.welcome\n')
  raw.socket.destroy()
})

t.test('a stream opens without waiting for a body of its request', async (t) => {
  const host = await buildHub(t)
  const outgoing = httpRequest(`${await host.listen()}/events?user=alice`, {
    headers: { expect: '100-continue', 'content-length': 4, 'content-type': 'application/json' }
  })
  outgoing.on('error', () => {})
  outgoing.flushHeaders()
  const [response] = await once(outgoing, 'response')
  t.equal(response.statusCode, 200)
  outgoing.destroy()
  await host.untilClosed(1)
  t.same(host.closed, ['client'])
})
