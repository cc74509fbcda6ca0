import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import { Agent, get, type RequestOptions } from 'node:https'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { systemClock } from '../../services/clock.ts'
import type { EventLog, ReadQuery } from '../../services/event-log/event-log.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import { type BuildOptions, buildHub, failOnWarnings, type HubHost } from '../support/build.ts'
import { selfSigned } from '../support/self-signed.ts'
import { StreamReader } from '../support/stream-reader.ts'

failOnWarnings(t)

const { key, cert } = selfSigned()
const secure = { http2: true, https: { key, cert, allowHTTP1: true } }
const H2_CANCEL = 8

/** An open stream over any protocol: its headers, its client, and a way to leave. */
interface Opened {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly reader: StreamReader
  readonly source: Readable
  leave(): void
}

/** A protocol over which the hub serves streams. */
interface Transport {
  readonly name: string
  readonly server: NonNullable<BuildOptions['server']>
  /** Requests a stream; `leave` may be called before the answer. */
  ask(t: Test, host: HubHost, path: string): Promise<{ answer: Promise<Opened>; leave(): void }>
}

function session(t: Test, host: HubHost, scheme: string): ClientHttp2Session {
  const session = connect(`${scheme}://127.0.0.1:${host.port}`, { ca: cert })
  t.teardown(() => session.destroy())
  return session
}

async function answerOf(stream: ClientHttp2Stream): Promise<Opened> {
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  const leave = () => stream.close(H2_CANCEL)
  return { status: headers[':status'], headers, reader: new StreamReader(stream), source: stream, leave }
}

const http2 = (name: string, scheme: string, server: Transport['server']): Transport => ({
  name,
  server,
  async ask(t, host, path) {
    await host.listen()
    const stream = session(t, host, scheme).request({ ':path': path, accept: 'text/event-stream' })
    stream.on('error', () => {})
    return { answer: answerOf(stream), leave: () => stream.close(H2_CANCEL) }
  }
})

const https = (name: string, server: Transport['server']): Transport => ({
  name,
  server,
  async ask(_t, host, path) {
    await host.listen()
    const options = { host: '127.0.0.1', port: host.port, path, ca: cert, ALPNProtocols: ['http/1.1'], agent: false }
    const outgoing = get(options as RequestOptions)
    outgoing.on('error', () => {})
    const leave = () => void outgoing.destroy()
    const answer = (async () => {
      const [response] = await once(outgoing, 'response')
      const { statusCode: status, headers } = response
      return { status, headers, reader: new StreamReader(response), source: response, leave }
    })()
    return { answer, leave }
  }
})

const inject: Transport = {
  name: 'inject',
  server: {},
  async ask(_t, host, path) {
    const controller = new AbortController()
    const leave = () => controller.abort()
    const answer = (async () => {
      const response = await host.app.inject({ url: path, payloadAsStream: true, signal: controller.signal })
      const source = response.stream()
      const { statusCode: status, headers } = response
      return { status, headers: headers as IncomingHttpHeaders, reader: new StreamReader(source), source, leave }
    })()
    return { answer, leave }
  }
}

const TRANSPORTS: Transport[] = [
  http2('HTTP/2 in the clear', 'http', { http2: true }),
  http2('HTTP/2 over TLS', 'https', secure),
  https('HTTP/1.1 over TLS', { https: { key, cert } }),
  https('HTTP/1.1 over TLS on a server that speaks HTTP/2', secure),
  inject
]

/** Suspends the hub at one of its awaits until `open()`; `reached` resolves to the request that waits there. */
class Gate {
  readonly reached: Promise<FastifyRequest | undefined>
  #reach: (request: FastifyRequest | undefined) => void = () => {}
  #open: () => void = () => {}
  readonly #opened: Promise<void>

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#reach = resolve
    })
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  async pass(request?: FastifyRequest): Promise<void> {
    this.#reach(request)
    await this.#opened
  }

  open(): void {
    this.#open()
  }
}

/** A log that answers when the gate opens. */
function distantLog(gate: Gate): EventLog {
  const log = new MemoryLog({ retention: DEFAULT_RETENTION, idempotencyWindow: 1_000, clock: systemClock })
  const read = log.read.bind(log)
  return Object.assign(log, {
    read: async (query: ReadQuery) => {
      await gate.pass()
      return read(query)
    }
  })
}

for (const transport of TRANSPORTS) {
  t.test(`over ${transport.name} a stream opens at once, is live, and is ended by the hub`, async (t) => {
    const host = await buildHub(t, { server: transport.server })
    await host.app.sse.send('alice', { data: 'before' })
    const { answer } = await transport.ask(t, host, '/events?user=alice')
    const { status, headers, reader } = await answer
    t.equal(status, 200)
    t.match(headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform' })
    t.equal((await reader.event('hub.welcome')).event, 'hub.welcome')
    const large = 'x'.repeat(60_000)
    for (const data of ['one', large, 'three']) await host.app.sse.send('alice', { data })
    t.same(await reader.count(3), ['one', large, 'three'])
    t.equal(await host.app.sse.disconnect('alice'), 1)
    await reader.end()
    t.match(reader.events.at(-1), { event: 'hub.close', data: '{"reason":"kicked","reconnect":false}' })
    t.ok(reader.parser.isAtBoundary)
    t.same(ownErrors(host), [])
  })

  t.test(`over ${transport.name} the hub notices that a client has left`, async (t) => {
    const host = await buildHub(t, { server: transport.server })
    const { answer } = await transport.ask(t, host, '/events?user=alice')
    const { reader, leave } = await answer
    await reader.event('hub.welcome')
    leave()
    await host.untilClosed(1)
    t.same(host.closed, ['client'])
    t.equal(host.open, 0)
    t.equal((await host.app.sse.send('alice', { data: 'nobody' })).streams, 0)
    t.same(ownErrors(host), [])
  })

  t.test(`over ${transport.name} refusals are ordinary answers`, async (t) => {
    const host = await buildHub(t, { server: transport.server })
    const { answer } = await transport.ask(t, host, '/events')
    const { status, headers } = await answer
    t.equal(status, 401)
    t.match(headers['content-type'], 'application/json')
  })

  t.test(`over ${transport.name} a client that leaves at any await leaves nothing behind`, async (t) => {
    const awaits: [string, (gate: Gate) => BuildOptions][] = [
      [
        'a hook before the handler',
        (gate) => ({
          host: (app) => {
            app.addHook('preHandler', (request) => gate.pass(request))
            app.get('/events', (request, reply) => app.sse.connect(request, reply))
          }
        })
      ],
      [
        'authenticate',
        (gate) => ({
          hub: {
            authenticate: async (request) => {
              await gate.pass(request)
              return { user: 'alice' }
            }
          }
        })
      ],
      [
        'authorizeTopic',
        (gate) => ({
          hub: {
            authorizeTopic: async (_identity, _topic, request) => {
              await gate.pass(request)
              return true
            }
          },
          host: (app) =>
            app.get('/events', (request, reply) => app.sse.connect(request, reply, { requestedTopics: ['news'] }))
        })
      ]
    ]
    for (const [where, optionsOf] of awaits) {
      const gate = new Gate()
      const host = await buildHub(t, { server: transport.server, ...optionsOf(gate) })
      const { answer, leave } = await transport.ask(t, host, '/events?user=alice')
      answer.catch(() => {})
      const request = await gate.reached
      const gone = goneFrom(request as FastifyRequest)
      leave()
      await gone
      gate.open()
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      t.equal(host.open, 0, `in ${where}`)
      t.same(ownErrors(host), [], `in ${where}`)
      t.equal((await host.app.sse.broadcast({ data: 'x' })).streams, 0)
    }
  })

  t.test(`over ${transport.name} a client that leaves while its history is read leaves nothing behind`, async (t) => {
    const gate = new Gate()
    const host = await buildHub(t, { server: transport.server, hub: { log: distantLog(gate) } })
    const { answer } = await transport.ask(t, host, '/events?user=alice')
    const { leave } = await answer
    await gate.reached
    t.equal(host.open, 1)
    leave()
    await host.untilClosed(1)
    gate.open()
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    t.equal(host.open, 0)
    t.same(host.closed, ['client'])
    t.same(ownErrors(host), [])
  })
}

/** The logged errors, without those of Fastify about an aborted `inject`. */
const ownErrors = ({ errors }: HubHost) => errors.filter((line) => !line.includes('"code":"ABORT_ERR"'))

/** Resolves when the server knows that the client of a request is gone. */
async function goneFrom({ raw }: FastifyRequest): Promise<void> {
  if (raw.httpVersionMajor === 2) await once((raw as unknown as { stream: Readable }).stream, 'close')
  else if ('isLightMyRequest' in raw) await new Promise((resolve) => setImmediate(resolve))
  else await once(raw.socket, 'close')
}

t.test('over HTTP/2 a reader that pauses loses nothing, and delays no other stream of its session', async (t) => {
  const host = await buildHub(t, { server: { http2: true } })
  await host.listen()
  const shared = session(t, host, 'http')
  const streams = ['alice', 'bob'].map((user) => shared.request({ ':path': `/events?user=${user}` }))
  const [alice, bob] = (await Promise.all(streams.map(answerOf))) as [Opened, Opened]
  await Promise.all([alice.reader.event('hub.welcome'), bob.reader.event('hub.welcome')])

  alice.source.pause()
  const large = 'x'.repeat(10_000)
  for (let event = 0; event < 300; event++) {
    await host.app.sse.broadcast({ data: `${event} ${large}` })
    await bob.reader.count(event + 1)
  }
  t.ok(
    (host.streams.find(({ user }) => user === 'alice')?.unsent ?? 0) < 1_048_576,
    'the pending bytes of alice are bounded'
  )
  t.ok(alice.reader.published.length < 300)
  alice.source.resume()
  t.same(
    (await alice.reader.count(300)).map((data) => Number.parseInt(data, 10)),
    Array.from({ length: 300 }, (_, event) => event)
  )
  t.equal(bob.reader.published.length, 300)
})

t.test('a server with open HTTP/2 sessions closes at once, and no stream loses its end', async (t) => {
  const host = await buildHub(t, { server: { http2: true } })
  await host.listen()
  const [reading, stalled] = [session(t, host, 'http'), session(t, host, 'http')]
  const { reader } = await answerOf(reading.request({ ':path': '/events?user=alice' }))
  const other = await answerOf(stalled.request({ ':path': '/events?user=alice' }))
  await Promise.all([reader.event('hub.welcome'), other.reader.event('hub.welcome')])
  other.source.pause()
  for (let event = 0; event < 50; event++) await host.app.sse.broadcast({ data: 'x'.repeat(60_000) })
  await reader.count(50)

  const start = performance.now()
  await host.app.close()
  t.comment(`closed in ${Math.round(performance.now() - start)} ms`)
  t.ok(performance.now() - start < 3_000)
  await reader.end()
  t.match(reader.events.at(-1), { event: 'hub.close', data: '{"reason":"shutdown","reconnect":true}' })
  t.same(host.closed, ['shutdown', 'shutdown'])
})

t.test('headers that HTTP/2 does not have are not sent there', async (t) => {
  const host = await buildHub(t, {
    server: { http2: true },
    host: (app) => {
      app.addHook('onRequest', async (_request, reply) => {
        reply
          .header('connection', 'keep-alive')
          .header('keep-alive', 'timeout=5')
          .header('transfer-encoding', 'chunked')
      })
      app.get('/events', (request, reply) => app.sse.connect(request, reply))
    }
  })
  await host.listen()
  const opened = await answerOf(session(t, host, 'http').request({ ':path': '/events?user=alice' }))
  await opened.reader.event('hub.welcome')
  for (const name of ['connection', 'keep-alive', 'transfer-encoding']) t.notOk(opened.headers[name], name)
})

t.test('over HTTP/2 HEAD and 204 are answered without a stream', async (t) => {
  const host = await buildHub(t, { server: { http2: true } })
  await host.listen()
  const shared = session(t, host, 'http')
  const cases: [object, number][] = [
    [{ ':method': 'HEAD' }, 200],
    [{ 'last-event-id': '0.end' }, 204]
  ]
  for (const [headers, status] of cases) {
    const stream = shared.request({ ':path': '/events?user=alice', ...headers })
    const opened = await answerOf(stream)
    t.equal(opened.status, status)
    await opened.reader.end()
    t.same(opened.reader.events, [])
  }
  t.equal(host.app.sse.stats().opened, 0)
})

t.test('a connection that is kept alive over TLS serves requests before and streams after', async (t) => {
  const host = await buildHub(t, { server: secure })
  await host.listen()
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: cert })
  t.teardown(() => agent.destroy())
  for (const [path, status] of [
    ['/events', 401],
    ['/events?user=alice', 200]
  ] as const) {
    const outgoing = get({ host: '127.0.0.1', port: host.port, path, agent })
    const [response] = await once(outgoing, 'response')
    t.equal(response.statusCode, status)
    const reader = new StreamReader(response)
    if (status === 200) await reader.event('hub.welcome')
    else await reader.end()
  }
})
