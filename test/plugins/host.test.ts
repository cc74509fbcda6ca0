import { EventEmitter, once } from 'node:events'
import { PassThrough } from 'node:stream'
import { createGzip } from 'node:zlib'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { buildHub, failOnWarnings, userOfQuery } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const events = (app: FastifyInstance) => app.get('/events', (request, reply) => app.sse.connect(request, reply))

t.test('headers that other plugins have set are kept, except those that would break a stream', async (t) => {
  const host = await buildHub(t, {
    host: (app) => {
      app.addHook('onRequest', async (_request, reply) => {
        reply.header('access-control-allow-origin', 'https://app.example').header('vary', 'Origin')
        reply.header('set-cookie', 'a=1').header('set-cookie', 'b=2')
        reply.header('x-frame-options', 'DENY')
        reply.header('content-encoding', 'gzip').header('content-length', 7).header('etag', '"x"')
        reply.header('cache-control', 'public, max-age=3600').type('text/html').code(201)
      })
      // As middleware written for plain Node does.
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
  t.equal(client.response.headers['transfer-encoding'], 'chunked', 'once, as the hub frames it')
  for (const name of ['content-encoding', 'content-length', 'etag'])
    t.notOk(client.response.headers[name], `no ${name}`)
  await host.app.sse.send('alice', { data: 'readable' })
  await client.count(1)
})

t.test('hooks of the host that change a payload do not see a stream; hooks at its end do', async (t) => {
  const hooks: string[] = []
  const seen = new EventEmitter()
  const note = (hook: string) => {
    hooks.push(hook)
    seen.emit(hook)
  }
  const host = await buildHub(t, {
    host: (app) => {
      // @fastify/compress does the same.
      app.addHook('onSend', async (_request, reply, payload) => {
        note('onSend')
        reply.header('content-encoding', 'gzip')
        return createGzip().end(payload)
      })
      app.addHook('preSerialization', async (_request, _reply, payload) => {
        note('preSerialization')
        return payload
      })
      app.addHook('onResponse', async ({ url }) => note(`onResponse ${url}`))
      app.addHook('onRequestAbort', async ({ url }) => note(`onRequestAbort ${url}`))
      events(app)
    }
  })
  const url = await host.listen()
  const [alice, bob] = [await host.client(`${url}/events?user=alice`), await host.client(`${url}/events?user=bob`)]
  await host.app.sse.broadcast({ data: 'plain' })
  for (const client of [alice, bob]) {
    await client.count(1)
    t.notOk(client.response.headers['content-encoding'])
  }
  t.same(hooks, [])

  const ended = once(seen, 'onResponse /events?user=alice')
  await host.app.sse.disconnect('alice')
  await ended
  const aborted = once(seen, 'onRequestAbort /events?user=bob')
  bob.cut()
  await aborted
  t.same(hooks, ['onResponse /events?user=alice', 'onRequestAbort /events?user=bob'])
  t.same(host.errors, [])
})

t.test('a handler that throws after its stream was opened does not stop the hub', async (t) => {
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

t.test('a reply that other code answers meanwhile opens no stream', async (t) => {
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
  t.same(host.closed, [], 'no stream had to make room for it')
  const twice = await host.client(`${url}/twice?user=bob`)
  await host.app.sse.send(['alice', 'bob'], { data: 'once' })
  await host.app.sse.send(['alice', 'bob'], { data: 'fence' })
  for (const client of [alice, twice])
    t.same(
      (await client.count(2)).map(({ data }) => data),
      ['once', 'fence']
    )
  const mistakes = host.errors.filter((line) => !line.includes('FST_ERR_HANDLER_TIMEOUT'))
  t.equal(mistakes.length, 2, 'one for each mistake of the host')
  for (const line of mistakes) t.match(line, 'SSE_HUB_ERR_REPLY_SENT')
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

t.test('registering the plugin twice in one scope is an error', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(sseHub)
  app.register(sseHub)
  await t.rejects(async () => void (await app.ready()), { code: 'FST_ERR_DEC_ALREADY_PRESENT', message: /'sse'/ })
})

t.test('two scopes may have a hub each, and the hubs share nothing', async (t) => {
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

t.test('an unknown or impossible option stops the registration with its name', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ hearbeatInterval: 1 }, /hearbeatInterval: is unknown; expected one of .*heartbeatInterval/],
    [{ heartbeatInterval: '15s' }, /heartbeatInterval: is a whole number from 0 .*got "15s"/],
    [{ retention: { users: 1 } }, /retention\.users: is unknown; expected one of user, topic/],
    [{ log: {} }, /log: is an event log/],
    [{ paceConnections: 1 }, /paceConnections: is true or false/]
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

t.test("a host's server keeps its connection listeners, unless the host asks for pacing", async (t) => {
  const listenersWith = async (hub: object): Promise<unknown[]> => {
    const app = Fastify()
    t.teardown(() => app.close())
    const before = app.server.listeners('connection')
    await app.register(sseHub, hub)
    const after = app.server.listeners('connection')
    return after.filter((listener) => before.includes(listener))
  }
  t.equal((await listenersWith({})).length, 1)
  t.equal((await listenersWith({ paceConnections: false })).length, 1)
  t.equal((await listenersWith({ paceConnections: true })).length, 0)
})

t.test('a Readable without a stream to read it is destroyed', async (t) => {
  const sources: PassThrough[] = []
  const { app } = await buildHub(t, {
    host: (app) =>
      app.get('/report', (request, reply) => {
        const source = new PassThrough()
        sources.push(source)
        return app.sse.stream(request, reply, source)
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
