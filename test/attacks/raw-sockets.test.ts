import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { buildHub, failOnWarnings, type HubHost } from '../support/build.ts'
import { survives } from '../support/fuzz.ts'
import { RawSocket } from '../support/raw-socket.ts'

failOnWarnings(t)
t.setTimeout(600_000)

/** How long a test waits for a connection to close, in milliseconds. */
const PATIENCE = 10_000

const STREAM = 'GET /events?user=mallory HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n'
const JSON_TYPE = 'Content-Type: application/json\r\n'
const EVENT = '{"data":"smuggled"}'
const POST = `POST /broadcast HTTP/1.1\r\nHost: hub\r\n${JSON_TYPE}`

/** Requests and parts of them that have deceived servers. None of them ever publishes as a whole. */
const FRAGMENTS = [
  ...[
    `${STREAM}\r\n`,
    STREAM,
    `${STREAM}Last-Event-ID: `,
    `${STREAM}Content-Length: 5\r\n\r\nabcde`,
    `${STREAM}Expect: 100-continue\r\n\r\n`
  ],
  ...[`${STREAM}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`, `${STREAM}Connection: keep-alive, close\r\n\r\n`],
  ...[
    `${STREAM}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n`,
    `${STREAM}Transfer-Encoding: chunked\r\n\r\nzz\r\n`
  ],
  ...['GET /none HTTP/1.1\r\nHost: hub\r\n\r\n', 'HEAD /events?user=mallory HTTP/1.1\r\nHost: hub\r\n\r\n'],
  ...[
    'OPTIONS * HTTP/1.1\r\nHost: hub\r\n\r\n',
    'CONNECT hub:80 HTTP/1.1\r\nHost: hub\r\n\r\n',
    'TRACE / HTTP/1.1\r\nHost: hub\r\n\r\n'
  ],
  ...[
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET /\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'GET  /events HTTP/1.1\r\n\r\n',
    'get /events http/1.1\r\n\r\n'
  ],
  ...[
    'GET http://elsewhere/events HTTP/1.1\r\nHost: hub\r\n\r\n',
    'GET /events HTTP/1.1\r\n\r\n',
    'GET /events HTTP/1.1\nHost: hub\n\n'
  ],
  ...[
    '\r\n\r\n',
    '\0\0\0\0',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'X'.repeat(20_000),
    `X-Pad: ${'x'.repeat(9_000)}\r\n`
  ],
  ...[
    'Host : hub\r\n',
    ' folded\r\n',
    'A: b\rC: d\r\n',
    ': nameless\r\n',
    'Content-Length: -1\r\n',
    'Content-Length: 99999999999999999999\r\n'
  ],
  ...[
    'data: x\n\n',
    'event: hub.close\n\n',
    '{"data":1}',
    '0\r\n\r\n',
    `${POST}Content-Length: 1000\r\n\r\n{"data":`,
    `${POST}\r\n`
  ]
]

/** How a peer closes. */
const ENDS = [
  'closes its sending side',
  'resets the connection',
  'closes',
  'closes before it has sent everything'
] as const

interface Peer {
  readonly fragments: string[]
  /** Sizes of the pieces, in bytes, repeated. */
  readonly pieces: readonly number[]
  readonly end: (typeof ENDS)[number]
}

const peers: fc.Arbitrary<Peer> = fc.record({
  fragments: fc.array(
    fc.oneof({ arbitrary: fc.constantFrom(...FRAGMENTS), weight: 5 }, fc.string({ unit: 'binary', maxLength: 40 })),
    { minLength: 1, maxLength: 6 }
  ),
  pieces: fc.oneof(
    fc.constant([1]),
    fc.constant([1 << 20]),
    fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 })
  ),
  end: fc.constantFrom(...ENDS)
})

const withApi = (app: FastifyInstance) => app.register(hubRoutes, { authorize: () => true, authorizeTopic: () => true })

/** Resolves when only these connections and their streams are left. */
async function untilOnly(host: HubHost, count: number): Promise<void> {
  // When this request is answered, all earlier connections have been accepted.
  const fence = await RawSocket.open(host.port)
  fence.send('GET /fence HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n')
  await fence.closed()
  const connections = () =>
    new Promise<number>((resolve) => host.app.server.getConnections((_error, now) => resolve(now)))
  const until = performance.now() + PATIENCE
  while ((await connections()) > count || host.open > count) {
    if (performance.now() > until) throw new Error(`${await connections()} connections, ${host.open} streams are left`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function visit(port: number, { fragments, pieces, end }: Peer): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'connect')
  const bytes = Buffer.from(fragments.join(''), 'latin1')
  // Single bytes matter most at the beginning; 20,000 of them would only take long.
  for (let at = 0, piece = 0; at < bytes.length && !socket.destroyed; piece++) {
    const size = at < 600 ? (pieces[piece % pieces.length] as number) : bytes.length
    socket.write(bytes.subarray(at, at + size))
    at += size
    if (end === 'closes before it has sent everything' && at > bytes.length / 2) break
    // A turn of the event loop between them, so that they arrive separately.
    if (piece < 100) await new Promise((resolve) => setImmediate(resolve))
  }
  if (end === 'resets the connection') socket.resetAndDestroy()
  else if (end === 'closes its sending side') {
    socket.once('end', () => socket.destroy())
    socket.end()
  } else socket.destroy()
  await gone
}

t.test(
  'any bytes over a socket, however they are cut and ended, leave nothing behind and disturb no other client',
  async (t) => {
    const host = await buildHub(t, { host: withApi, hub: { heartbeatInterval: 0 } })
    const url = await host.listen()
    const healthy = await host.client(`${url}/events?user=healthy`)
    let fences = 0
    await survives(t, fc.array(peers, { minLength: 1, maxLength: 6 }), 150, async (crowd) => {
      await Promise.all(crowd.map((peer) => visit(host.port, peer)))
      await untilOnly(host, 1)
      if (host.open !== 1) throw new Error('the healthy stream is gone')
      if (host.errors.length > 0) throw new Error(`logged ${host.errors.splice(0).join('')}`)
      await host.app.sse.send('healthy', { data: fences++ })
      await healthy.count(fences)
      if (Number(healthy.published.at(-1)?.data) !== fences - 1) throw new Error('the healthy stream is confused')
    })
    t.equal(healthy.published.length, fences, 'no event was smuggled to any stream')
    t.equal(host.app.sse.stats().published, fences)
  }
)

/** Ways to hide a request in another: each is read as one, or refused; none has two interpretations. */
const SMUGGLING: Record<string, string> = {
  'Content-Length and Transfer-Encoding': `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'Transfer-Encoding and Content-Length': `${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
  'two lengths': `${POST}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}`,
  'a list of lengths': `${POST}Content-Length: 2, 40\r\n\r\n{}`,
  'a length with a sign': `${POST}Content-Length: +2\r\n\r\n{}`,
  'a length in hex': `${POST}Content-Length: 0x2\r\n\r\n{}`,
  'an unknown encoding': `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'an encoding after chunked': `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  'two encodings': `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n`,
  'a space before the colon': `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  'a folded header': `${POST}Transfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n{}`,
  'a line end without CR': `${POST}Content-Length: 2\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a CR within a header': `${POST}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a NUL within a header': `${POST}X: y\0Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a chunk longer than it says': `${POST}Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n`,
  'a chunk of a size that overflows': `${POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n`,
  'a chunk of a size with a sign': `${POST}Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n`,
  'a chunk that ends without CR': `${POST}Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n`
}

/** A whole request that must not be read where the end of the other one is ambiguous. */
const HIDDEN = `${POST}Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`

t.test('no request is hidden in another one', async (t) => {
  const host = await buildHub(t, { host: withApi })
  const url = await host.listen()
  const healthy = await host.client(`${url}/events?user=healthy`)
  for (const [how, opening] of Object.entries(SMUGGLING)) {
    const raw = await RawSocket.open(host.port)
    raw.send(opening + HIDDEN)
    await raw.closed()
    t.match(raw.text, /^HTTP\/1\.1 400 /, how)
    t.equal(raw.text.split('HTTP/1.1 ').length, 2, `${how}: one answer`)
  }
  // Two real requests, for comparison.
  const raw = await RawSocket.open(host.port)
  raw.send(HIDDEN + HIDDEN.replace('Host: hub', 'Host: hub\r\nConnection: close'))
  await raw.closed()
  t.equal(raw.text.split('HTTP/1.1 202 ').length, 3)
  t.equal((await healthy.count(2)).length, 2)
  t.equal(host.app.sse.stats().published, 2)
})

t.test('a stream request that arrives byte by byte opens one stream', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const raw = await RawSocket.open(host.port)
  for (const letter of `${STREAM}\r\n`) {
    raw.send(letter)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await raw.until(() => raw.text.includes('hub.welcome'), 'the welcome')
  await host.app.sse.send('mallory', { data: 'x' })
  await raw.until(() => raw.body.includes('data: x\n'), 'the event')
  raw.socket.destroy()
  await host.untilClosed(1)
  t.match(host.app.sse.stats(), { opened: 1, streams: 0 })
})

t.test('a client that closes its sending side is closed, and its stream with it', async (t: Test) => {
  const host = await buildHub(t)
  await host.listen()
  for (const behind of ['', 'GET /events?user=mallory HTTP/1.1\r\nHost: hub\r\n\r\n', 'GET /ev']) {
    const before = host.closed.length
    const socket = connect({ port: host.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.resume()
    socket.end(`${STREAM}\r\n${behind}`)
    await once(socket, 'end')
    socket.destroy()
    await untilOnly(host, 0)
    t.equal(host.open, 0)
    t.ok(host.closed.slice(before).every((reason) => reason === 'client'))
  }
  t.same(host.errors, [])
})

t.test('a client that never closes its end of an ended stream is cut', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const sockets = await Promise.all(
    ['kicked', 'left-waiting'].map(async (user) => {
      const socket = connect({ port: host.port, host: '127.0.0.1', allowHalfOpen: true })
      socket.on('error', () => {})
      t.teardown(() => socket.destroy())
      socket.write(`GET /events?user=${user} HTTP/1.1\r\nHost: hub\r\n\r\n`)
      await once(socket, 'data')
      return socket.resume()
    })
  )
  await host.untilOpened(2)
  t.equal(await host.app.sse.disconnect('kicked'), 1)
  t.equal(await host.app.sse.disconnect('left-waiting', { reconnect: true }), 1)
  await Promise.all(sockets.map((socket) => once(socket, 'end')))
  await untilOnly(host, 0)
  t.pass('though their ends of the connections are open')
})
