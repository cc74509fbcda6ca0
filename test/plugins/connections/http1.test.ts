import { once } from 'node:events'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import Fastify from 'fastify'
import t from 'tap'
import { ConnectionGuard } from '../../../plugins/connections/connection-guard.ts'
import { failOnWarnings } from '../../support/build.ts'
import { GuardedServer, untilEnd } from '../../support/guarded-server.ts'
import { sharing } from '../../support/shared-counts.ts'

failOnWarnings(t)

const MIB = 1_048_576
const GET = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: hub\r\n${more}\r\n`
const LAST = 'Connection: close\r\n'
const OK = /^HTTP\/1\.1 200 /

t.test('connections beyond the limit of their address are reset until one of them closes', async (t) => {
  const server = await GuardedServer.listen(t, { maxConnectionsPerAddress: 2 }, (app) => app.get('/', async () => 'x'))
  const retained = [await server.connect(), await server.connect()]
  const refused = await server.connect()
  refused.write(GET('/'))
  t.equal(await untilEnd(refused), '')
  const other = await server.connect('127.0.0.2')
  other.write(GET('/', LAST))
  t.match(await untilEnd(other), OK, 'another address has a limit of its own')
  t.equal(server.refused.connectionsOfAddress, 1)

  retained[0]?.destroy()
  await server.until(() => server.sockets.size === 1, 'a connection to be closed')
  const next = await server.connect()
  next.write(GET('/', LAST))
  t.match(await untilEnd(next), OK)
  t.same(server.errors, [])
})

t.test(
  'over TLS connections beyond the limit are reset before their handshake, and those within it are served',
  async (t) => {
    const server = await GuardedServer.listen(
      t,
      { maxConnectionsPerAddress: 1 },
      (app) => app.get('/', async () => 'x'),
      'tls'
    )
    const retained = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false })
    retained.on('error', () => {})
    await once(retained, 'secureConnect')
    for (let count = 0; count < 100; count++) {
      const refused = await server.connect()
      refused.write('\x16\x03\x01\x02\x00\x01', 'latin1')
      t.equal(await untilEnd(refused), '')
    }
    t.equal(server.refused.connectionsOfAddress, 100)
    retained.write(GET('/', LAST))
    t.match(await untilEnd(retained), OK)
    t.same(server.errors, [])
  }
)

t.test('the limit of an address holds over servers that share their counts', async (t) => {
  const [one, other] = await Promise.all(
    sharing().map((counts) =>
      GuardedServer.listen(t, { maxConnectionsPerAddress: 1, counts }, (app) => app.get('/', async () => 'x'))
    )
  )
  const retained = await one?.connect()
  await one?.until(() => one.sockets.size === 1, 'a connection')
  t.equal(await untilEnd((await other?.connect()) as Socket), '')
  t.equal(other?.refused.connectionsOfAddress, 1)
  retained?.destroy()
  await one?.until(() => one.sockets.size === 0, 'a connection to be closed')
  const next = (await other?.connect()) as Socket
  next.write(GET('/', LAST))
  t.match(await untilEnd(next), OK)
})

t.test('proxies, and by default this machine, have no limit of connections', async (t) => {
  const trusting = await GuardedServer.listen(
    t,
    { maxConnectionsPerAddress: 1, isProxy: (address) => address === '127.0.0.3' },
    (app) => app.get('/', async () => 'x')
  )
  for (let count = 0; count < 5; count++) await trusting.connect('127.0.0.3')
  const last = await trusting.connect('127.0.0.3')
  last.write(GET('/', LAST))
  t.match(await untilEnd(last), OK)
  const preset = await GuardedServer.listen(t, { maxConnections: 40 }, (app) => app.get('/', async () => 'x'))
  for (let count = 0; count < 30; count++) await preset.connect()
  const more = await preset.connect()
  more.write(GET('/', LAST))
  t.match(await untilEnd(more), OK)
})

t.test('the total of connections is bounded, and idle ones are closed to make room', async (t) => {
  const server = await GuardedServer.listen(t, { maxConnections: 2 }, (app) => app.get('/', async () => 'x'))
  const idle = await server.connect()
  idle.write(GET('/'))
  await once(idle, 'data')
  const gone = untilEnd(idle)
  await server.connect()
  const early = await server.connect()
  t.equal(await untilEnd(early), '')
  await server.pass(4_000)
  t.notOk(idle.destroyed, 'a connection that was just used may be about to send its next request')
  await server.pass(1_000)
  const refused = await server.connect()
  t.equal(await untilEnd(refused), '')
  t.equal(server.refused.connections, 2)
  await server.pass(1_000)
  await gone
  await server.until(() => server.sockets.size === 1, 'the idle connection to be closed')
  const next = await server.connect()
  next.write(GET('/', LAST))
  t.match(await untilEnd(next), OK)
})

t.test('the queue behind an unanswered request is bounded, and one more request cuts the connection', async (t) => {
  let answer = () => {}
  let asked = 0
  const server = await GuardedServer.listen(t, { maxPipelined: 3 }, (app) => {
    app.get('/', () => {
      asked++
      return new Promise((resolve) => {
        answer = () => resolve('x')
      })
    })
    app.get('/fast', async () => {
      asked++
      return 'x'
    })
  })
  const polite = await server.connect()
  polite.write(GET('/') + GET('/fast') + GET('/fast') + GET('/fast', LAST))
  const answers = untilEnd(polite)
  await server.until(() => asked === 4, 'four requests')
  answer()
  t.equal((await answers).split('HTTP/1.1 200 ').length, 5, 'one answered after the other')

  const greedy = await server.connect()
  greedy.write(GET('/') + GET('/fast').repeat(1_000))
  t.equal(await untilEnd(greedy), '')
  t.equal(asked, 8, 'the rest of what it sent did not reach the app')
  t.equal(server.refused.pipelined, 1)
  t.same(server.errors, [])
})

t.test('requests with bodies, which are answered while more are parsed, have the bound of queued ones', async (t) => {
  let asked = 0
  const server = await GuardedServer.listen(t, { maxPipelined: 8 }, (app) =>
    app.post('/', async () => {
      asked++
      return 'x'
    })
  )
  const post = (header = '') =>
    `POST / HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 2\r\n${header}\r\n{}`
  const modest = await server.connect()
  modest.write(post().repeat(8) + post(LAST))
  t.equal((await untilEnd(modest)).split('\r\n\r\nx').length - 1, 9)
  t.equal(asked, 9)
  const greedy = await server.connect()
  greedy.write(post().repeat(400))
  await untilEnd(greedy)
  t.ok(asked - 9 <= 9, `${asked - 9} of 400 requests reached the app`)
  t.equal(server.refused.pipelined, 1)
  t.same(server.errors, [])
})

t.test(
  'an answer that its client does not read is cut after the stall timeout, a slowly read one is not',
  async (t) => {
    const server = await GuardedServer.listen(t, { stallTimeout: 1_000 }, (app) =>
      app.get('/', async () => 'x'.repeat(16 * MIB))
    )
    const stalled = await server.connect()
    stalled.pause()
    const slow = await server.connect()
    let read = 0
    slow.on('data', (bytes) => {
      read += bytes.length
      slow.pause()
      setTimeout(() => slow.resume(), 1)
    })
    for (const socket of [stalled, slow]) socket.write(GET('/'))
    await server.until(() => server.refused.stalled === 1, 'the stalled answer to be cut')
    await server.until(() => read > 8 * MIB, 'the slow client to have read half of its answer')
    await server.until(() => read > 16 * MIB, 'the slow client to have read its answer')
    t.equal(server.refused.stalled, 1)
    await server.until(() => server.sockets.size === 1, 'the stalled connection to be closed')
    t.notOk(slow.destroyed, 'the slow client is still connected')
    t.same(server.errors, [])
  }
)

t.test('the total of unread answers is bounded; those that wait longest are cut', async (t) => {
  const server = await GuardedServer.listen(t, { maxUnreadBytes: 64 * MIB, stallTimeout: 0 }, (app) =>
    app.get('/', async () => 'x'.repeat(12 * MIB))
  )
  for (let count = 1; count <= 12; count++) {
    const socket = await server.connect()
    socket.pause()
    socket.write(GET('/'))
    await server.until(
      () => [...server.sockets].every(({ writableLength }) => writableLength > MIB),
      'an unread answer'
    )
    const open = [...server.sockets].filter(({ destroyed }) => !destroyed)
    const unread = open.reduce((sum, { writableLength }) => sum + writableLength, 0)
    t.ok(unread <= 64 * MIB, `${Math.round(unread / MIB)} MiB after ${count}`)
    t.ok(
      [...server.sockets].some(({ remotePort }) => remotePort === socket.localPort),
      'the newest is not cut'
    )
  }
  t.ok(server.refused.unread >= 4)
  t.same(server.errors, [])
})

t.test('one connection may hold a quarter of the bound for unread answers', async (t) => {
  const server = await GuardedServer.listen(t, { maxUnreadBytes: 32 * MIB }, (app) =>
    app.get('/', async () => 'x'.repeat(16 * MIB))
  )
  const socket = await server.connect()
  socket.pause()
  const gone = once(socket, 'close')
  socket.write(GET('/'))
  await server.until(() => server.sockets.size === 0, 'the connection to be cut')
  t.equal(server.refused.unread, 1)
  socket.resume()
  await gone
})

t.test('answers that Node gives by itself have the bound of queued ones', async (t) => {
  const server = await GuardedServer.listen(t, { maxRequestsPerConnection: 50 }, (app) => app.get('/', async () => 'x'))
  const texts: Record<string, string> = {
    'an expectation that is not valid': GET('/', 'Expect: the unexpected\r\n'),
    'requests beyond the last': GET('/')
  }
  for (const [what, text] of Object.entries(texts)) {
    const before = server.refused.pipelined
    const socket = await server.connect()
    socket.write(text.repeat(1_000))
    const answers = (await untilEnd(socket)).split('HTTP/1.1 ').length
    t.ok(answers < 100, `${what}: ${answers}`)
    t.equal(server.refused.pipelined, before + 1, what)
  }
})

for (const protocol of ['http', 'tls'] as const) {
  t.test(`over ${protocol} an HTTP/1.1 request without a Host is answered 400, and HTTP/1.0 needs none`, async (t) => {
    const server = await GuardedServer.listen(t, {}, (app) => app.get('/', async () => 'x'), protocol)
    const ask = async (text: string) => {
      const socket =
        protocol === 'http' ? await server.connect() : connectTls({ port: server.port, rejectUnauthorized: false })
      socket.on('error', () => {})
      socket.write(text)
      return untilEnd(socket)
    }
    t.match(await ask('GET / HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 /)
    t.match(await ask('GET / HTTP/1.0\r\n\r\n'), OK)
    t.match(await ask(GET('/', LAST)), OK)
    t.match(await ask(GET('/', `Expect: x\r\n${LAST}`)), /^HTTP\/1\.1 417 /)
  })
}

t.test('the answer to the last allowed request of a connection announces its close', async (t) => {
  const server = await GuardedServer.listen(t, { maxRequestsPerConnection: 3 }, (app) => app.get('/', async () => 'x'))
  const socket = await server.connect()
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  socket.write(GET('/').repeat(3))
  await server.until(() => text.split('\r\n\r\nx').length === 4, 'three answers')
  t.same(
    text
      .split('HTTP/1.1 200 ')
      .slice(1)
      .map((answer) => /connection: close/i.test(answer)),
    [false, false, true]
  )
})

for (const protocol of ['http', 'tls'] as const) {
  t.test(`over ${protocol} unfinished headers and bodies end their HTTP/1 connection after a timeout`, async (t) => {
    const server = await GuardedServer.listen(
      t,
      { headersTimeout: 100, requestTimeout: 300 },
      (app) => app.post('/', async () => 'x'),
      protocol
    )
    const texts = [
      '',
      'GET / HT',
      'POST / HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'
    ]
    for (const text of texts) {
      const socket =
        protocol === 'http' ? await server.connect() : connectTls({ port: server.port, rejectUnauthorized: false })
      socket.on('error', () => {})
      if (protocol === 'tls') await once(socket, 'secureConnect')
      const answer = untilEnd(socket)
      if (text !== '') socket.write(text)
      t.match(await answer, /^HTTP\/1\.1 408 /, JSON.stringify(text.slice(0, 20)))
    }
    await server.until(() => server.sockets.size === 0, 'all connections to be closed')
  })
}

t.test('an unfinished TLS handshake ends its connection after a timeout', async (t) => {
  const server = await GuardedServer.listen(t, { headersTimeout: 200 }, (app) => app.get('/', async () => 'x'), 'tls')
  for (const text of ['', '\x16\x03\x01\x02\x00\x01']) {
    const socket = await server.connect()
    if (text !== '') socket.write(text, 'latin1')
    await untilEnd(socket)
    await server.until(() => server.sockets.size === 0, 'the connection to be closed')
  }
  t.same(server.errors, [])
})

t.test('a guard without limits serves as Fastify does', async (t) => {
  const app = Fastify({ serverFactory: new ConnectionGuard().serverFactory })
  t.teardown(() => app.close())
  app.get('/', async () => 'x')
  const url = await app.listen({ host: 'localhost', port: 0 })
  const outgoing = request(url, { agent: false })
  outgoing.end()
  const [response] = await once(outgoing, 'response')
  t.equal(response.statusCode, 200)
  response.resume()
  await once(response, 'end')
})

t.test('an unknown or impossible limit is an error with its name', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ maxConnection: 1 }, /maxConnection: is not a limit; the limits are maxConnections/],
    [{ maxConnections: -1 }, /maxConnections: is a whole number from 0 .*got -1/],
    [{ maxConnectionsPerAddress: '1' }, /maxConnectionsPerAddress: .*got "1"/],
    [{ maxUnreadBytes: 1 }, /maxUnreadBytes: .*from 1048576/]
  ]
  for (const [limits, message] of wrong)
    t.throws(() => new ConnectionGuard(limits), { code: 'SSE_HUB_ERR_INVALID_OPTION', message })
})
