import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { PassThrough } from 'node:stream'
import { createGzip } from 'node:zlib'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { buildHub, failOnWarnings, userOfQuery } from '../support/build.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const events = (app: FastifyInstance) => app.get('/events', (request, reply) => app.sse.connect(request, reply))

t.test('headers that other plugins have set are kept, and those that would break a stream are not', async (t) => {
  const host = await buildHub(t, {
    host: (app) => {
      app.addHook('onRequest', async (_request, reply) => {
        reply.header('access-control-allow-origin', 'https://app.example').header('vary', 'Origin')
        reply.header('set-cookie', 'a=1').header('set-cookie', 'b=2')
        reply.header('x-frame-options', 'DENY')
        reply.header('content-encoding', 'gzip').header('content-length', 7).header('etag', '"x"')
        reply.header('cache-control', 'public, max-age=3600').type('text/html').code(201)
      })
      // As middleware does that does not know Fastify.
      app.addHook('preHandler', async (_request, { raw }) => {
        raw.setHeader('x-middleware', 'yes')
        raw.setHeader('content-encoding', 'br')
        raw.setHeader('content-length', '9')
        raw.setHeader('transfer-encoding', 'chunked')
        raw.setHeader('content-type', 'application/json')
      })
      events(app)
    }
  })
  const url = `${await host.listen()}/events?user=alice`
  const client = await host.client(url)
  t.equal(client.status, 200)
  t.match(client.response.headers, {
    'access-control-allow-origin': 'https://app.example',
    vary: 'Origin',
    'set-cookie': ['a=1', 'b=2'],
    'x-frame-options': 'DENY',
    'x-middleware': 'yes',
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    connection: 'close'
  })
  for (const name of ['content-encoding', 'content-length', 'etag', 'transfer-encoding'])
    t.notOk(client.response.headers[name], `no ${name}`)
  await host.app.sse.send('alice', { data: 'readable' })
  await client.count(1)
})

t.test('hooks of the host that change what is sent do not see the stream; those at its end do', async (t) => {
  const hooks: string[] = []
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const host = await buildHub(t, {
    host: (app) => {
      // What @fastify/compress does.
      app.addHook('onSend', async (_request, reply, payload) => {
        hooks.push('onSend')
        reply.header('content-encoding', 'gzip')
        return createGzip().end(payload)
      })
      app.addHook('preSerialization', async (_request, _reply, payload) => {
        hooks.push('preSerialization')
        return payload
      })
      app.addHook('onResponse', async (request) => {
        hooks.push(`onResponse ${request.url}`)
        end()
      })
      events(app)
    }
  })
  const client = await host.client(`${await host.listen()}/events?user=alice`)
  await host.app.sse.send('alice', { data: 'plain' })
  await client.count(1)
  t.notOk(client.response.headers['content-encoding'])
  t.same(hooks, [])
  client.cut()
  await ended
  t.same(hooks, ['onResponse /events?user=alice'])
  t.same(host.errors, [])
})

t.test('HEAD is answered with the headers of a stream, opens none, and keeps the connection', async (t) => {
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

t.test(
  'other methods find nothing on the route of a stream, and OPTIONS is left to the CORS of the host',
  async (t) => {
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
  }
)

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
  t.equal(await host.app.sse.close('alice', { reconnect: true }), 1)
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

t.test('bytes that are no request, on the socket of a stream, end that stream alone', async (t) => {
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

t.test('time limits of the host that end ordinary requests do not end a stream', async (t) => {
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

  // What comes after the stream is cut by each of the limits; the stream has then been silent for longer than any of them.
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
  await raw.until(() => raw.text.endsWith('data: x\n\n'), 'the event')
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
  raw.socket.destroy()
})

t.test('a handler that throws after its stream was opened does not bring the hub down', async (t) => {
  const host = await buildHub(t, {
    host: (app) =>
      app.get('/events', async (request, reply) => {
        await app.sse.connect(request, reply)
        throw new Error('a mistake of the host')
      })
  })
  const client = await host.client(`${await host.listen()}/events?user=alice`)
  await host.app.sse.send('alice', { data: 'x' })
  await client.count(1)
  t.equal(host.errors.length, 1, 'logged once')
  t.match(host.errors[0], 'a mistake of the host')
})

t.test('a reply that is answered by somebody else meanwhile opens no stream', async (t) => {
  let answer = () => {}
  const host = await buildHub(t, {
    server: { handlerTimeout: 50 },
    hub: {
      maxStreamsPerUser: 1,
      authenticate: (request) => {
        const identity = userOfQuery(request)
        if (identity?.user !== 'slow') return identity
        return new Promise((resolve) => {
          answer = () => resolve({ user: 'alice' })
        })
      }
    },
    host: (app) => {
      events(app)
      app.get('/twice', async (request, reply) => {
        await app.sse.connect(request, reply)
        return app.sse.connect(request, reply)
      })
      app.get('/late', async (request, reply) => {
        await reply.send('already answered')
        return app.sse.connect(request, reply)
      })
    }
  })
  const url = await host.listen()
  const alice = await host.client(`${url}/events?user=alice`)
  t.equal((await fetch(`${url}/events?user=slow`)).status, 503, 'by handlerTimeout')
  answer()
  t.equal(await (await fetch(`${url}/late?user=alice`)).text(), 'already answered')
  t.same(host.closed, [], 'and nobody had to make room for it')
  const twice = await host.client(`${url}/twice?user=bob`)
  await host.app.sse.send(['alice', 'bob'], { data: 'once' })
  await host.app.sse.send(['alice', 'bob'], { data: 'fence' })
  for (const client of [alice, twice])
    t.same(
      (await client.count(2)).map(({ data }) => data),
      ['once', 'fence']
    )
  t.same(
    host.errors.filter((line) => !line.includes('FST_ERR_HANDLER_TIMEOUT')),
    []
  )
})

t.test('a reply that the host has hijacked itself becomes a stream', async (t) => {
  const host = await buildHub(t, {
    host: (app) =>
      app.get('/events', (request, reply) => {
        reply.hijack()
        app.sse.connect(request, reply).catch((error) => t.fail(error))
      })
  })
  t.equal((await host.client(`${await host.listen()}/events?user=alice`)).status, 200)
})

t.test('the plugin registered twice in one scope says so', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(sseHub)
  app.register(sseHub)
  await t.rejects(async () => void (await app.ready()), { code: 'FST_ERR_DEC_ALREADY_PRESENT', message: /'sse'/ })
})

t.test('two scopes may have a hub each, and they know nothing of each other', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const scopes: FastifyInstance[] = []
  for (const prefix of ['/a', '/b']) {
    await app.register(
      async (scope) => {
        await scope.register(sseHub, { authenticate: userOfQuery })
        events(scope)
        scopes.push(scope)
      },
      { prefix }
    )
  }
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const [a, b] = await Promise.all(['a', 'b'].map((scope) => StreamClient.open(`${url}/${scope}/events?user=alice`)))
  await Promise.all([a?.event('hub.welcome'), b?.event('hub.welcome')])
  t.equal((await scopes[0]?.sse.broadcast({ data: 'to a' }))?.streams, 1)
  await scopes[1]?.sse.broadcast({ data: 'to b' })
  t.same(
    (await a?.count(1))?.map(({ data }) => data),
    ['to a']
  )
  t.same(
    (await b?.count(1))?.map(({ data }) => data),
    ['to b']
  )
})

t.test('an option that is none, or that cannot be, stops the registration with its name', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ hearbeatInterval: 1 }, /hearbeatInterval: is none; there are .*heartbeatInterval/],
    [{ heartbeatInterval: '15s' }, /heartbeatInterval: is a whole number from 0 .*got "15s"/],
    [{ retention: { users: 1 } }, /retention\.users: is none; there are user, topic/],
    [{ log: {} }, /log: is an event log/]
  ]
  for (const [options, message] of wrong) {
    const app = Fastify()
    await t.rejects(async () => void (await app.register(sseHub, options)), {
      code: 'SSE_HUB_ERR_INVALID_OPTION',
      message
    })
    await app.close()
  }
})

t.test('a Readable that nobody is going to read is destroyed', async (t) => {
  const sources: PassThrough[] = []
  const { app } = await buildHub(t, {
    host: (app) =>
      app.get('/report', (request, reply) => {
        const source = new PassThrough()
        sources.push(source)
        return app.sse.follow(request, reply, source)
      })
  })
  t.equal((await app.inject({ method: 'HEAD', url: '/report' })).statusCode, 200)
  t.equal((await app.inject({ url: '/report', headers: { accept: 'text/html' } })).statusCode, 406)
  t.equal((await app.inject({ url: '/report', headers: { 'last-event-id': '0.end' } })).statusCode, 204)
  t.same(
    sources.map(({ destroyed }) => destroyed),
    [true, true, true]
  )
})

t.test('a body on the request of a stream is not waited for', async (t) => {
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
