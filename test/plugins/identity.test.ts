import { once } from 'node:events'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Authenticate, SseHubOptions } from '../../plugins/sse-hub.ts'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

/** Values that a mistake in the JavaScript of a host could pass as a user. */
const NO_USERS: [string, unknown][] = [
  ['undefined', undefined],
  ['null', null],
  ['an empty string', ''],
  ['a number', 42],
  ['zero', 0],
  ['true', true],
  ['an object', { id: 'alice' }],
  ['an array', ['alice']],
  ['a symbol', Symbol('alice')],
  ['257 bytes', 'a'.repeat(257)],
  ['a control character', 'ali\nce'],
  ['a lone surrogate', 'alice\ud800']
]

/** An `authenticate` that answers when the test calls `answer`. */
function deferred(): { authenticate: Authenticate; asked: Promise<FastifyRequest>; answer: (value: never) => void } {
  let answer: (value: never) => void = () => {}
  let ask: (request: FastifyRequest) => void = () => {}
  const asked = new Promise<FastifyRequest>((resolve) => {
    ask = resolve
  })
  const authenticate: Authenticate = (request) => {
    ask(request)
    return new Promise((resolve) => {
      answer = resolve
    })
  }
  return { authenticate, asked, answer: (value) => answer(value) }
}

t.test('a user without a well-formed name is 401, and gets no stream', async (t) => {
  let answer: unknown
  const authenticate = (() => answer) as Authenticate
  const { app, streams } = await buildHub(t, { hub: { authenticate } })
  const whole: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['false', false],
    ['true', true],
    ['a string', 'alice'],
    ['a number', 7],
    ['an empty object', {}]
  ]
  const users = NO_USERS.map(([what, user]): [string, unknown] => [`a user that is ${what}`, { user }])
  for (const [what, value] of [...whole, ...users]) {
    for (const isAsync of [false, true]) {
      answer = isAsync ? Promise.resolve(value) : value
      const response = await app.inject('/events')
      t.equal(response.statusCode, 401, what)
      t.match(response.json(), { statusCode: 401, code: 'SSE_HUB_ERR_UNAUTHENTICATED', error: 'Unauthorized' })
    }
  }
  t.equal(streams.length, 0)
})

t.test(
  'a user that the host forgot to look up is 401, and does not become the one that authenticate names',
  async (t) => {
    let user: unknown
    const { app } = await buildHub(t, {
      hub: { authenticate: () => ({ user: 'somebody-else' }) },
      host: (app) => app.get('/events', (request, reply) => app.sse.connect(request, reply, { user: user as string }))
    })
    for (const [what, value] of NO_USERS) {
      user = value
      const response = await app.inject('/events')
      t.equal(response.statusCode, 401, what)
      t.equal(response.json().code, 'SSE_HUB_ERR_UNAUTHENTICATED')
    }
  }
)

t.test('sending to an invalid user is refused, and is never a broadcast', async (t) => {
  const host = await buildHub(t)
  const bob = await host.client(`${await host.listen()}/events?user=bob`)
  for (const [what, user] of NO_USERS.filter(([, user]) => !Array.isArray(user))) {
    await t.rejects(host.app.sse.send(user as string, { data: 'secret' }), { message: /well-formed string/ }, what)
    await t.rejects(host.app.sse.publish(user as string, { data: 'secret' }), { message: /well-formed string/ }, what)
  }
  await t.rejects(host.app.sse.send([], { data: 'secret' }), { code: 'SSE_HUB_ERR_INVALID_TARGET' })
  await host.app.sse.broadcast({ data: 'fence' })
  t.same(
    (await bob.count(1)).map(({ data }) => data),
    ['fence']
  )
})

t.test('names that look alike, or like parts of JavaScript, are different users', async (t) => {
  const users = [
    '__proto__',
    'constructor',
    'toString',
    'é',
    'é'.normalize('NFD'),
    'Alice',
    'alice',
    'a/b',
    '../..',
    '%2F',
    'a:b',
    '😀'
  ]
  const host = await buildHub(t)
  const url = await host.listen()
  const clients = await Promise.all(users.map((user) => host.client(`${url}/events?user=${encodeURIComponent(user)}`)))
  for (const user of users) t.equal((await host.app.sse.send(user, { data: user })).streams, 1, user)
  await host.app.sse.broadcast({ data: 'fence' })
  for (const [index, user] of users.entries()) {
    t.same(
      (await clients[index]?.count(2))?.map(({ data }) => data),
      [user, 'fence']
    )
  }
})

const failure = (properties: object = {}) => Object.assign(new Error('no database'), properties)
/** Errors that reject for good, and errors that clients may retry. */
const FINAL = [{ statusCode: 400 }, { statusCode: 401 }, { statusCode: 403 }, { status: 404 }, { statusCode: 410 }]
const PASSING = [
  {},
  { statusCode: 500 },
  { status: 503 },
  { statusCode: 429 },
  { statusCode: 408 },
  { statusCode: 425 }
]

/** The ways in which a function of the host may fail. */
const ways = (error: unknown): [string, () => never | Promise<never>][] => [
  [
    'throws',
    () => {
      throw error
    }
  ],
  ['rejects', () => Promise.reject(error)]
]

t.test('a status that authenticate rejects with is the answer, without a stack', async (t) => {
  for (const properties of FINAL) {
    for (const [how, authenticate] of ways(failure(properties))) {
      const { app, open, errors } = await buildHub(t, { hub: { authenticate } })
      const response = await app.inject('/events')
      t.equal(response.statusCode, Object.values(properties)[0], how)
      t.match(response.headers['content-type'], 'application/json')
      t.notMatch(response.payload, /at .*:\d+:\d+/)
      t.equal(open, 0)
      t.same(errors, [], 'a rejection by the host is not an error')
    }
  }
})

t.test('any other failure of authenticate is a retryable rejection', async (t) => {
  for (const [how, authenticate] of [
    ...PASSING.flatMap((it) => ways(failure(it))),
    ...ways(undefined),
    ...ways('text')
  ]) {
    const { app, open, errors } = await buildHub(t, { hub: { authenticate } })
    const response = await app.inject('/events')
    t.equal(response.statusCode, 200, how)
    t.equal(response.headers['content-type'], 'text/event-stream')
    t.match(response.payload, /^event: hub\.close\ndata: \{"reason":"error","reconnect":true\}\nretry: \d+\n\n$/)
    t.equal(open, 0)
    t.equal(errors.length, 1)
    t.match(errors[0], 'authenticate failed')
    t.match(app.sse.stats().refused, { error: 1 })
  }
})

t.test('a failure of authorizeTopic is a retryable rejection, unless it has a status', async (t) => {
  const build = async (authorizeTopic: () => never | Promise<never>) =>
    buildHub(t, {
      hub: { authorizeTopic },
      host: (app) =>
        app.get('/events', (request, reply) =>
          app.sse.connect(request, reply, { user: 'alice', requestedTopics: ['a'] })
        )
    })
  for (const [how, authorizeTopic] of ways(failure())) {
    const { app, errors } = await build(authorizeTopic)
    const response = await app.inject('/events')
    t.equal(response.statusCode, 200, how)
    t.match(response.payload, '"reason":"error","reconnect":true')
    t.match(errors[0], 'authorizeTopic failed')
  }
  for (const [how, authorizeTopic] of ways(failure({ statusCode: 402 }))) {
    const { app } = await build(authorizeTopic)
    t.equal((await app.inject('/events')).statusCode, 402, how)
  }
})

t.test('a promise of another realm that authenticate returns is awaited', async (t) => {
  const authenticate = runInNewContext("async () => ({ user: 'alice' })") as Authenticate
  const host = await buildHub(t, { hub: { authenticate } })
  const client = await host.client(`${await host.listen()}/events`)
  t.match(JSON.parse((await client.event('hub.welcome')).data), { user: 'alice' })
})

t.test('an authenticate that hangs is a retryable rejection after five seconds', async (t) => {
  const clock = new FakeClock()
  const { authenticate, asked, answer } = deferred()
  const host = await buildHub(t, { hub: { authenticate, clock, reconnectionTime: 1_000 } })
  const opening = StreamClient.open(`${await host.listen()}/events`)
  await asked
  t.equal(clock.timers, 1)
  clock.advance(5_000)

  const client = await opening
  await client.end()
  t.equal(client.status, 200)
  t.match(client.text, /^event: hub\.close\ndata: \{"reason":"error","reconnect":true\}\nretry: \d+\n\n$/)
  t.equal(clock.timers, 0, 'no timer is left')
  t.match(host.errors.join(), 'no answer in 5000 ms')

  answer({ user: 'alice' } as never)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(host.open, 0, 'an answer that comes too late opens nothing')
})

t.test('a HEAD request whose authenticate hangs is answered without a body', async (t) => {
  const clock = new FakeClock()
  const { authenticate, asked } = deferred()
  const host = await buildHub(t, { hub: { authenticate, clock } })
  await host.listen()
  const raw = await RawSocket.open(host.port)
  raw.send('HEAD /events HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n')
  await asked
  clock.advance(5_000)
  await raw.closed()
  t.match(raw.text, /^HTTP\/1\.1 200 OK\r\n(.+\r\n)+\r\n$/)
})

t.test('a client that leaves during authentication leaves nothing behind', async (t) => {
  const { authenticate, asked, answer } = deferred()
  const host = await buildHub(t, { hub: { authenticate } })
  const opening = StreamClient.open(`${await host.listen()}/events`)
  const { raw } = await asked
  const gone = once(raw.socket, 'close')
  raw.socket.destroy()
  await t.rejects(opening)
  await gone
  answer({ user: 'alice' } as never)
  await new Promise((resolve) => setImmediate(resolve))
  t.match(host.app.sse.stats(), { streams: 0, opened: 0 })
  t.same(host.errors, [])
})

t.test('only authorizeTopic grants a topic that a client requests', async (t) => {
  const topics = (app: FastifyInstance) =>
    app.get<{ Querystring: { topics: string } }>('/events', (request, reply) =>
      app.sse.connect(request, reply, { requestedTopics: request.query.topics.split(',') })
    )
  const cases: [string, SseHubOptions['authorizeTopic'], number][] = [
    ['that is missing', undefined, 403],
    ['that says no', () => false, 403],
    ['that says no later', async () => false, 403],
    ['that says something like yes', (() => 'yes') as never, 403],
    ['that knows the second topic only', (_identity, topic) => topic === 'sport', 403]
  ]
  for (const [how, authorizeTopic, status] of cases) {
    const { app } = await buildHub(t, {
      hub: { authenticate: () => ({ user: 'alice' }), authorizeTopic },
      host: topics
    })
    const response = await app.inject('/events?topics=news,sport')
    t.equal(response.statusCode, status, how)
    t.match(response.json(), { code: 'SSE_HUB_ERR_TOPIC_FORBIDDEN', message: /"news".*authorizeTopic/ })
  }

  const asked: unknown[] = []
  const authorizeTopic = async ({ user }: { user: string }, topic: string) => asked.push([user, topic]) > 0
  const identity = { user: 'alice', topics: ['granted'] }
  const host = await buildHub(t, { hub: { authenticate: () => identity, authorizeTopic }, host: topics })
  const client = await host.client(`${await host.listen()}/events?topics=news,news,granted`)
  t.same(host.streams[0]?.topics, ['granted', 'news'])
  t.same(asked, [['alice', 'news']], 'asked once, and not about granted topics')
  for (const topic of ['granted', 'other', 'news']) await host.app.sse.publish(topic, { data: topic })
  t.same(
    (await client.count(2)).map(({ data }) => data),
    ['granted', 'news']
  )
})

t.test('an authorizeTopic that hangs is a retryable rejection after five seconds', async (t) => {
  const clock = new FakeClock()
  let ask = () => {}
  const asked = new Promise<void>((resolve) => {
    ask = resolve
  })
  const authorizeTopic = () => {
    ask()
    return new Promise<boolean>(() => {})
  }
  const { app } = await buildHub(t, {
    hub: { clock, authorizeTopic },
    host: (app) =>
      app.get('/events', (request, reply) =>
        app.sse.connect(request, reply, { user: 'alice', requestedTopics: ['news'] })
      )
  })
  const opening = app.inject('/events')
  await asked
  clock.advance(5_000)
  const response = await opening
  t.equal(response.statusCode, 200)
  t.match(response.payload, '"reason":"error","reconnect":true')
})

t.test('topics that are not a list of names are refused, not split', async (t) => {
  let opening: object = {}
  const { app } = await buildHub(t, {
    hub: { maxTopics: 2, authorizeTopic: () => true },
    host: (app) =>
      app.get('/events', (request, reply) => app.sse.connect(request, reply, { user: 'alice', ...opening }))
  })
  const cases: [object, string][] = [
    [{ topics: 'news' }, 'SSE_HUB_ERR_INVALID_DRAFT'],
    [{ requestedTopics: 'news' }, 'SSE_HUB_ERR_INVALID_DRAFT'],
    [{ topics: [''] }, 'SSE_HUB_ERR_INVALID_TOPIC'],
    [{ requestedTopics: ['news\n'] }, 'SSE_HUB_ERR_INVALID_TOPIC'],
    [{ topics: [undefined] }, 'SSE_HUB_ERR_INVALID_TOPIC'],
    [{ topics: ['a', 'b'], requestedTopics: ['c'] }, 'SSE_HUB_ERR_TOO_MANY_TOPICS'],
    [{ last: 0 }, 'SSE_HUB_ERR_INVALID_DRAFT'],
    [{ last: 1.5 }, 'SSE_HUB_ERR_INVALID_DRAFT'],
    [{ expiresAt: 'tomorrow' }, 'SSE_HUB_ERR_INVALID_DRAFT'],
    [{ expiresAt: Number.NaN }, 'SSE_HUB_ERR_INVALID_DRAFT']
  ]
  for (const [wrong, code] of cases) {
    opening = wrong
    const response = await app.inject('/events')
    t.match(response.json(), { statusCode: 400, code, error: 'Bad Request', message: /.+/ }, JSON.stringify(wrong))
  }
})

t.test('an identity that has expired already is 401', async (t) => {
  const clock = new FakeClock()
  const { app } = await buildHub(t, { hub: { clock, authenticate: () => ({ user: 'alice', expiresAt: clock.now() }) } })
  t.equal((await app.inject('/events')).statusCode, 401)
})

t.test('a request that does not accept an event stream is 406 before authentication', async (t) => {
  const { app } = await buildHub(t, {
    hub: {
      authenticate: () => {
        throw new Error('was asked')
      }
    }
  })
  for (const accept of ['application/json', 'text/html', 'text/event-stream;q=0', '*/*;q=0', 'text/*;q=0, */*']) {
    const response = await app.inject({ url: '/events', headers: { accept } })
    t.match(
      response.json(),
      { statusCode: 406, code: 'SSE_HUB_ERR_NOT_ACCEPTABLE', error: 'Not Acceptable', message: /text\/event-stream/ },
      accept
    )
  }
})

t.test('a request that accepts an event stream among other types gets one', async (t) => {
  const host = await buildHub(t)
  const url = `${await host.listen()}/events?user=alice`
  for (const accept of [
    'text/event-stream',
    '*/*',
    'text/*',
    'TEXT/Event-Stream ; q=0.1',
    'application/json, */*;q=0.1',
    ''
  ]) {
    const client = await host.client(url, { headers: { accept } })
    t.equal(client.status, 200, accept)
    client.cut()
  }
})
