import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ConnectionPacer } from '../../plugins/connection-pacer.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { buildHub, failOnWarnings, type HubHost } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { runs, SEED } from '../support/fuzz.ts'
import { Random } from '../support/random.ts'
import { RawSocket } from '../support/raw-socket.ts'

failOnWarnings(t)
t.setTimeout(60_000)

/** Number of connections in one window before the others wait; while the clock stands still, all come in one. */
const UNPACED = 50
const PATIENCE = 10_000
const turn = () => new Promise((resolve) => setImmediate(resolve))
const request = (what: string) => `${what} HTTP/1.1\r\nHost: hub\r\n`

/** A hub that paces connections: every new connection waits for its turn. */
class PacedHub {
  readonly host: HubHost
  /** A second pacer on the same server, as with two hubs; tests make it busy. */
  readonly pacer: ConnectionPacer
  isBusy = false

  static async begin(t: Test, server: object = {}): Promise<PacedHub> {
    const clock = new FakeClock()
    const host = (app: FastifyInstance) =>
      app.register(hubRoutes, { authorize: () => true, authorizeTopic: () => true })
    const hub = await buildHub(t, { hub: { clock, paceConnections: true }, host, server })
    const pacedHub = new PacedHub(hub, clock)
    await hub.listen()
    for (let come = 0; come < UNPACED; come++) (await pacedHub.connect()).destroy()
    await pacedHub.untilConnections(0)
    return pacedHub
  }

  private constructor(host: HubHost, clock: FakeClock) {
    this.host = host
    this.pacer = ConnectionPacer.pace(host.app.server, () => this.isBusy, clock) as ConnectionPacer
  }

  async connect(): Promise<Socket> {
    const accepted = once(this.host.app.server, 'connection')
    const socket = connect({ port: this.host.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    socket.on('error', () => {})
    await Promise.all([once(socket, 'connect'), accepted])
    return socket
  }

  async untilConnections(count: number): Promise<void> {
    const { server } = this.host.app
    const connections = () => new Promise<number>((resolve) => server.getConnections((_error, now) => resolve(now)))
    const until = performance.now() + PATIENCE
    while ((await connections()) !== count) {
      if (performance.now() > until) throw new Error(`${await connections()} are connected`)
      await turn()
    }
  }

  async untilWaiting(count: number): Promise<void> {
    const until = performance.now() + PATIENCE
    while (this.pacer.waiting !== count) {
      if (performance.now() > until) throw new Error(`${this.pacer.waiting} wait`)
      await turn()
    }
  }

  /** Checks that a well-behaved client is served. */
  async serves(t: Test, what: string): Promise<void> {
    const opened = this.host.streams.length
    const raw = await RawSocket.stream(this.host.port, '/events?user=alice')
    await this.host.untilOpened(opened + 1)
    await this.host.app.sse.send('alice', { data: what })
    await raw.until(() => raw.text.includes(`data: ${what}\n`), `an event after ${what}`)
    raw.socket.destroy()
    await raw.closed()
    await this.untilConnections(0)
    t.equal(this.pacer.waiting, 0, what)
  }
}

/** The bytes that the server sent before it closed, also if a reset follows: unread bytes cause one. */
function answersOf(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  return new Promise((resolve) => {
    for (const event of ['end', 'error', 'close']) socket.once(event, () => resolve(text))
  })
}

/** Events on a connection that waits for its turn. */
const CLOSINGS: Record<string, (socket: Socket) => void> = {
  'sends nothing and closes': (socket) => socket.destroy(),
  'sends nothing and resets': (socket) => socket.resetAndDestroy(),
  'sends nothing and ends': (socket) => socket.end(),
  'sends one byte and closes': (socket) => socket.write('G', () => socket.destroy()),
  'sends one byte and resets': (socket) => socket.write('G', () => socket.resetAndDestroy()),
  'sends one byte and ends': (socket) => socket.end('G'),
  'sends a line end and ends': (socket) => socket.end('\r\n'),
  'sends a request and closes': (socket) =>
    socket.write(`${request('GET /events?user=mallory')}\r\n`, () => socket.destroy()),
  'sends a request and resets': (socket) =>
    socket.write(`${request('GET /events?user=mallory')}\r\n`, () => socket.resetAndDestroy()),
  'sends a request and ends': (socket) => socket.end(`${request('GET /events?user=mallory')}\r\n`),
  'requests a page and ends': (socket) => socket.end(`${request('GET /health/live')}\r\n`),
  'sends garbage': (socket) => socket.end('\x16\x03\x01\x02\x00\x01\0\0\0'),
  'sends 2 MB and closes': (socket) => socket.write('x'.repeat(2_000_000), () => socket.destroy()),
  'sends 2 MB and resets at once': (socket) => {
    socket.write('x'.repeat(2_000_000))
    setImmediate(() => socket.resetAndDestroy())
  }
}

t.test('during pacing, no connection that closes, at any moment and in any way, stays or delays another', async (t) => {
  const pacedHub = await PacedHub.begin(t)
  for (const [what, close] of Object.entries(CLOSINGS)) {
    for (const isBusy of [false, true]) {
      pacedHub.isBusy = isBusy
      const socket = await pacedHub.connect()
      socket.resume()
      socket.once('end', () => socket.destroy())
      close(socket)
      if (isBusy) {
        // The connection has closed, or waits; then it is its turn.
        for (let turns = 0; turns < 20; turns++) await turn()
        pacedHub.isBusy = false
      }
      await pacedHub.untilConnections(0)
      await pacedHub.serves(t, `${what}${isBusy ? ', while the hub is busy' : ''}`)
    }
  }
  t.same(pacedHub.host.errors, [])
})

t.test('during pacing, each connection gets the same answers as at any other time', async (t) => {
  const pacedHub = await PacedHub.begin(t)
  const close = 'Connection: close\r\n\r\n'
  const event = '{"data":1}'
  const post = `${request('POST /broadcast')}Content-Type: application/json\r\nContent-Length: ${event.length}\r\n`
  const cases: [string, string, RegExp][] = [
    [
      'one after the other',
      `${request('GET /health/live')}\r\n${request('GET /health/live')}${close}`,
      /^HTTP\/1\.1 200 [\s\S]*}HTTP\/1\.1 200 /
    ],
    [
      'an upgrade that the server does not offer',
      `${request('GET /health/live')}Upgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n`,
      /^HTTP\/1\.1 200 /
    ],
    ['a tunnel', `${request('CONNECT hub:80')}\r\n`, /^$/],
    [
      'a body that waits to be asked for',
      `${post}Expect: 100-continue\r\n${close}${event}`,
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /
    ],
    ['an unknown expectation', `${request('GET /health/live')}Expect: the unexpected\r\n${close}`, /^HTTP\/1\.1 417 /],
    ['a head that is too large', `${request('GET /')}X: ${'x'.repeat(20_000)}\r\n${close}`, /^HTTP\/1\.1 431 /],
    ['not HTTP at all', '\x16\x03\x01\x02\x00\x01\0\0\0', /^HTTP\/1\.1 400 /],
    ['HTTP/1.0', 'GET /health/live HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 /],
    [
      'two streams at once',
      `${request('GET /events?user=a')}\r\n${request('GET /events?user=b')}\r\n`,
      /^HTTP\/1\.1 200 [\s\S]*hub\.welcome|^$/
    ]
  ]
  for (const isInPieces of [false, true]) {
    for (const [what, text, answer] of cases) {
      const socket = await pacedHub.connect()
      const answers = answersOf(socket)
      for (let at = 0; isInPieces && at < Math.min(40, text.length - 1); at++) {
        socket.write(text[at] as string, 'latin1')
        await turn()
      }
      socket.write(isInPieces ? text.slice(Math.min(40, text.length - 1)) : text, 'latin1')

      t.match(await answers, answer, `${what}${isInPieces ? ', in pieces' : ''}`)
      socket.destroy()
      await pacedHub.untilConnections(0)
    }
  }
  await pacedHub.serves(t, 'all of them')
  t.same(pacedHub.host.errors, [])
})

t.test('a thousand connections that send nothing, or one byte, keep no other out', async (t) => {
  const pacedHub = await PacedHub.begin(t)
  const loris: Socket[] = []
  for (let at = 0; at < 1_000; at++) {
    const socket = await pacedHub.connect()
    if (at % 2 === 0) socket.write('G')
    loris.push(socket)
  }
  const raw = await RawSocket.stream(pacedHub.host.port, '/events?user=alice')
  await pacedHub.host.app.sse.send('alice', { data: 'in' })
  await raw.until(() => raw.text.includes('data: in\n'), 'an event')
  raw.socket.destroy()
  for (const [at, socket] of loris.entries()) {
    if (at % 3 === 0) socket.resetAndDestroy()
    else socket.destroy()
  }
  await pacedHub.untilConnections(0)
  await pacedHub.serves(t, 'a thousand')
  t.same(pacedHub.host.errors, [])
})

t.test('when the app closes, waiting requests are answered, and silent connections do not stay', async (t) => {
  const pacedHub = await PacedHub.begin(t, { forceCloseConnections: true, return503OnClosing: false })
  const { host } = pacedHub
  pacedHub.isBusy = true
  const answers: Promise<string>[] = []
  for (const path of ['/events?user=alice', '/health/live']) {
    const socket = await pacedHub.connect()
    answers.push(answersOf(socket))
    socket.write(`${request(`GET ${path}`)}\r\n`)
    await pacedHub.untilWaiting(answers.length)
  }
  const silent = await pacedHub.connect()
  const slow = await pacedHub.connect()
  slow.write('GET /ev')
  await pacedHub.untilWaiting(3)
  const gone = [silent, slow].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
  for (const socket of [silent, slow]) socket.resume().once('end', () => socket.destroy())
  pacedHub.pacer.open()
  await host.app.close()
  await Promise.all(gone)
  for (const answer of answers) t.match(await answer, /^$|^HTTP\/1\.1 200 /)
  t.equal(pacedHub.pacer.waiting, 0)
  t.equal(host.open, 0)
  t.same(host.errors, [])
})

t.test('in any crowd, in any order, every connection is served or closed in the end', async (t) => {
  t.comment(`TEST_SEED=${SEED}`)
  const random = new Random(SEED)
  const pacedHub = await PacedHub.begin(t)
  const ways = Object.values(CLOSINGS)
  let asked = 0
  let answered = 0
  for (let step = 0; step < runs(400); step++) {
    if (random.chance(0.1)) pacedHub.isBusy = !pacedHub.isBusy
    const socket = await pacedHub.connect()
    socket.resume()
    socket.once('end', () => socket.destroy())
    if (random.chance(0.3)) {
      asked++
      socket.once('data', (bytes) => {
        if (`${bytes}`.startsWith('HTTP/1.1 200 ')) answered++
      })
      socket.write(`${request('GET /health/live')}Connection: close\r\n\r\n`)
    } else random.pick(ways)(socket)
  }
  pacedHub.isBusy = false
  await pacedHub.untilConnections(0)
  await pacedHub.untilWaiting(0)
  t.equal(answered, asked, 'every request that waited was answered')
  await pacedHub.serves(t, 'all of them')
  t.same(pacedHub.host.errors, [])
})
