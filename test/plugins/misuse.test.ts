import { get } from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { authentication } from '../../plugins/authentication.ts'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'

failOnWarnings(t)

/** A call from a host without type checking. */
type Untyped = (...args: unknown[]) => Promise<unknown>

process.on('unhandledRejection', (error) => t.fail('a rejection that nothing handles', { error }))

t.test('a stream that no handler awaits is refused as any other, and the log names the missing return', async (t) => {
  const host = await buildHub(t, {
    hub: { authenticate: async () => undefined },
    host: (app) => {
      app.get('/connect', (request, reply) => {
        app.sse.connect(request, reply)
      })
      app.get('/follow', (request, reply) => {
        app.sse.follow(request, reply, '')
      })
      app.get('/stream', (request, reply) => {
        app.sse.stream(request, reply, 5 as never)
      })
    }
  })
  const url = await host.listen()
  for (const [call, status] of [
    ['connect', 401],
    ['follow', 400],
    ['stream', 500]
  ] as const) {
    const before = host.errors.length
    t.equal((await fetch(`${url}/${call}`)).status, status)
    t.match(host.errors.slice(before).join(), `${call}() failed and its handler did not wait for it; return it`)
  }
})

t.test('the log warns of an asynchronous handler that does not await its stream', async (t) => {
  const warnings: string[] = []
  const write = (line: string) => warnings.push(line)
  const host = await buildHub(t, {
    server: { logger: { level: 'warn', stream: { write } } },
    hub: { authenticate: async () => ({ user: 'alice' }) },
    host: (app) => {
      app.get('/events', async (request, reply) => {
        app.sse.connect(request, reply)
      })
    }
  })
  t.equal(await (await fetch(`${await host.listen()}/events`)).text(), '', 'Fastify has answered instead')
  t.match(warnings.join(), 'the reply was answered before its stream could be opened; return connect()')
  t.equal(host.open, 0)
})

t.test('a stream on a reply that has begun is refused and logged, and the app closes', async (t) => {
  const handlers: Record<string, (app: FastifyInstance) => void> = {
    'a head past Fastify': (app) =>
      app.get('/events', (request, reply) => {
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
        return app.sse.connect(request, reply)
      }),
    'a head past Fastify, sent already': (app) =>
      app.get('/events', (request, reply) => {
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
        reply.raw.flushHeaders()
        return app.sse.connect(request, reply)
      }),
    'an answer': (app) =>
      app.get('/events', (request, reply) => {
        reply.send('an answer')
        return app.sse.connect(request, reply)
      })
  }
  for (const [what, handle] of Object.entries(handlers)) {
    const host = await buildHub(t, { host: handle })
    const request = get(`${await host.listen()}/events?user=alice`, (response) => response.resume())
    request.on('error', () => {})
    await new Promise((resolve) => request.once('close', resolve))
    t.equal(host.open, 0, what)
    t.match(host.errors.join(), 'SSE_HUB_ERR_REPLY_SENT', what)
    await host.app.close()
  }
})

t.test('a second stream on one reply is refused and logged, and the first goes on', async (t) => {
  const host = await buildHub(t, {
    host: (app) =>
      app.get('/events', async (request, reply) => {
        await app.sse.connect(request, reply, { user: 'alice' })
        return app.sse.connect(request, reply, { user: 'bob' })
      })
  })
  const client = await host.client(`${await host.listen()}/events`)
  await host.app.sse.send('alice', { data: 'hers' })
  t.equal((await client.count(1))[0]?.data, 'hers')
  t.equal(host.errors.length, 1)
  t.match(host.errors[0], 'SSE_HUB_ERR_REPLY_SENT')
  await host.app.close()
})

t.test('the log distinguishes mistakes of a host that clients see as the same 401', async (t) => {
  const seconds = Math.floor(Date.now() / 1_000) + 3_600
  const mistakes: [unknown, string][] = [
    ['alice', 'authenticate gave a string of 5 characters'],
    [{ user: 42 }, 'authenticate gave a user that is number'],
    [{ name: 'alice' }, 'authenticate gave a user that is undefined'],
    [{ user: 'alice', expiresAt: seconds }, `authenticate gave expiresAt ${seconds}, which looks like seconds`]
  ]
  for (const [answer, line] of mistakes) {
    const { app, errors } = await buildHub(t, { hub: { authenticate: () => answer as never } })
    const response = await app.inject('/events')
    t.match(response.json(), { statusCode: 401, code: 'SSE_HUB_ERR_UNAUTHENTICATED' })
    t.notMatch(response.payload, 'authenticate gave')
    t.equal(errors.length, 1)
    t.match(errors[0], line)
  }
  for (const answer of [undefined, null, { user: 'alice', expiresAt: Date.now() - 1_000 }]) {
    const { app, errors } = await buildHub(t, { hub: { authenticate: () => answer } })
    t.equal((await app.inject('/events')).statusCode, 401)
    t.same(errors, [], 'a refusal is not an error')
  }
})

async function startError(register: (app: FastifyInstance) => unknown): Promise<unknown> {
  const app = Fastify()
  try {
    await register(app)
    await app.ready()
    return undefined
  } catch (error) {
    return error
  } finally {
    await app.close()
  }
}

t.test('a misspelled option, or one of the wrong type, stops the start and is named', async (t: Test) => {
  const secret = 'x'.repeat(32)
  const wrong: [string, (app: FastifyInstance) => unknown][] = [
    ['heartbeatIntervall', (app) => app.register(sseHub, { heartbeatIntervall: 1 } as never)],
    ['authenticate', (app) => app.register(sseHub, { authenticate: 'x' } as never)],
    ['authorizeTopic', (app) => app.register(sseHub, { authorizeTopic: true } as never)],
    ['paceConnections', (app) => app.register(sseHub, { paceConnections: 'yes' } as never)],
    ...(
      [
        ['authorisePublish', () => true],
        ['authorize', true],
        ['authenticate', 'x'],
        ['authorizeTopic', {}],
        ['issueTicket', 1]
      ] as const
    ).map(([name, value]): [string, (app: FastifyInstance) => unknown] => [
      `hubRoutes.${name}`,
      (app) => app.register(sseHub).register(hubRoutes, { [name]: value } as never)
    ]),
    ...(
      [
        ['subscriber', { keys: [secret] }],
        ['subscribers', { key: secret }],
        ['subscribers.audiance', { keys: [secret], audiance: 'x' }],
        ['publishers', secret],
        ['apiKeys', 'id:key:scope'],
        ['origins', 'https://example.com'],
        ['cookie', true]
      ] as const
    ).map(([name, value]): [string, (app: FastifyInstance) => unknown] => [
      `authentication().${name}`,
      (app) => authentication(app, { [name.split('.')[0] as string]: value } as never)
    ])
  ]
  for (const [name, register] of wrong) {
    const error = await startError(register)
    t.match(error, { code: 'SSE_HUB_ERR_INVALID_OPTION', message: `Option ${name}: ` }, name)
  }
  t.equal(
    await startError(async (app) => {
      await app.register(sseHub, { authenticate: undefined, prefix: '/x' })
      const { authenticate, authorizeTopic, authorize } = await authentication(app, {
        subscribers: { keys: [secret], audience: undefined }
      })
      app.register(hubRoutes, { prefix: '/hub', authenticate, authorizeTopic, authorize })
    }),
    undefined,
    'valid options start'
  )
})

t.test('an invalid call is an error with a code and the accepted values', async (t) => {
  const { app } = await buildHub(t, {
    host: (app) => {
      const connect = app.sse.connect.bind(app.sse) as Untyped
      for (const [path, options] of Object.entries({
        text: 'alice',
        null: null,
        misspelled: { user: 'alice', topic: ['a'] },
        function: { authenticate: 'x' },
        from: { user: 'alice', from: 'newest' },
        cursor: { user: 'alice', lastEventId: 5 }
      }))
        app.get(`/${path}`, (request, reply) => connect(request, reply, options))
      const { follow, stream } = app.sse as unknown as Record<string, Untyped>
      app.get('/follow', (request, reply) => follow?.call(app.sse, request, reply, ['a']))
      app.get('/follow-option', (request, reply) => follow?.call(app.sse, request, reply, 'a', { topics: [] }))
      app.get('/stream', (request, reply) => stream?.call(app.sse, request, reply, 'a topic'))
    }
  })
  for (const [path, statusCode, code, message] of [
    ['text', 500, 'INVALID_OPTION', /connect\(\).*a string of 5 characters/],
    ['null', 500, 'INVALID_OPTION', /connect\(\).*null/],
    ['misspelled', 500, 'INVALID_OPTION', /connect\(\)\.topic: is unknown; expected one of user, topics/],
    ['function', 500, 'INVALID_OPTION', /connect\(\)\.authenticate: is a function/],
    ['from', 400, 'INVALID_REQUEST', /from is "oldest"/],
    ['cursor', 400, 'INVALID_REQUEST', /lastEventId is a string/],
    ['follow', 400, 'INVALID_TOPIC', /A topic is/],
    ['follow-option', 500, 'INVALID_OPTION', /follow\(\)\.topics/],
    ['stream', 500, 'INVALID_OPTION', /follow\(\) takes a topic; got a string/]
  ] as const) {
    t.match(
      (await app.inject(`/${path}?user=alice`)).json(),
      { statusCode, code: `SSE_HUB_ERR_${code}`, message },
      path
    )
  }

  const sse = app.sse as unknown as Record<string, Untyped>
  for (const [call, args, code, message] of [
    ['send', ['alice', { type: 'a', data: 1 }], 'INVALID_DRAFT', /An event has no "type"; it has data, event/],
    ['send', ['alice', { to: { users: ['bob'] }, data: 1 }], 'INVALID_DRAFT', /no "to"/],
    ['publishBatch', [[{ to: { users: ['bob'] }, data: 1, id: 7 }]], 'INVALID_DRAFT', /no "id"; it has to, data/],
    ['publishBatch', [[{ to: { user: 'bob' }, data: 1 }]], 'INVALID_TARGET', /"user"/],
    ['history', ['alice'], 'INVALID_REQUEST', /history\(\) takes one of \{ user \}.*a string of 5/],
    ['history', [{ users: ['alice'] }], 'INVALID_REQUEST', /an object with users/],
    ['history', [{ user: 'alice', topic: 'a' }], 'INVALID_REQUEST', /an object with user, topic/],
    ['history', [{ everyone: false }], 'INVALID_REQUEST', /everyone: true/],
    ['history', [{ user: 'alice' }, { from: 'x' }], 'INVALID_REQUEST', /no option "from"; it has after, limit/],
    ['history', [{ user: 'alice' }, { after: 5 }], 'INVALID_REQUEST', /after is a cursor/],
    ['disconnect', [undefined], 'INVALID_REQUEST', /disconnect\(\) takes a user/]
  ] as const) {
    const made = () => (sse[call] as Untyped).apply(app.sse, [...args])
    await t.rejects(made(), { code: `SSE_HUB_ERR_${code}`, message }, `${call} ${JSON.stringify(args)}`)
  }
})

t.test('a topic that the client names is followed only if authorizeTopic allows it', async (t) => {
  const asked: [string, string][] = []
  const host = await buildHub(t, {
    hub: {
      clock: new FakeClock(),
      authorizeTopic: ({ user }, topic) => {
        asked.push([user, topic])
        return topic === 'allowed'
      }
    },
    host: (app) => {
      app.get<{ Params: { topic: string } }>('/:topic', (request, reply) =>
        app.sse.follow(request, reply, request.params.topic, { requested: true })
      )
      app.get('/hers/:topic', (request, reply) =>
        app.sse.follow(request, reply, (request.params as { topic: string }).topic, { user: 'carol', requested: true })
      )
    }
  })
  const url = await host.listen()
  const client = await host.client(`${url}/allowed?user=alice`)
  t.equal(JSON.parse(client.events[0]?.data ?? '').user, 'alice')
  t.match((await host.app.inject('/other?user=alice')).json(), { statusCode: 403, code: 'SSE_HUB_ERR_TOPIC_FORBIDDEN' })
  t.equal((await host.app.inject('/allowed')).statusCode, 401, 'a user is required')
  t.equal((await host.app.inject('/hers/other')).statusCode, 403)
  t.same(asked, [
    ['alice', 'allowed'],
    ['alice', 'other'],
    ['carol', 'other']
  ])
  await host.app.sse.publish('allowed', { data: 'last', final: true })
  await client.end()
  t.equal(client.published[0]?.data, 'last')
})
