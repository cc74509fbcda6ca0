import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ConnectionPacer } from '../../plugins/connection-pacer.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** Connections that the pacer accepts at once. Its clock stands still, so all of them are in one window. */
const UNPACED = 50

/** A server that answers with the requested path, behind a pacer whose clock stands still. */
class PacedServer {
  readonly clock = new FakeClock()
  readonly asked: string[] = []
  readonly server: Server
  readonly pacer: ConnectionPacer
  isBusy = false
  admitted = 0
  #port = 0

  static async open(t: Test): Promise<PacedServer> {
    const paced = new PacedServer()
    paced.server.listen(0, '127.0.0.1')
    await once(paced.server, 'listening')
    paced.#port = (paced.server.address() as AddressInfo).port
    t.teardown(() => {
      paced.server.closeAllConnections()
      paced.server.close()
    })
    return paced
  }

  constructor() {
    this.server = createServer((request, response) => {
      this.asked.push(request.url as string)
      response.end(request.url)
    })
    this.server.on('connection', () => this.admitted++)
    this.pacer = ConnectionPacer.pace(this.server, () => this.isBusy, this.clock) as ConnectionPacer
  }

  /** Connects, and waits until the server has accepted it. */
  async connect(): Promise<Socket> {
    const accepted = once(this.server, 'connection')
    const socket = connect({ port: this.#port, host: '127.0.0.1' })
    socket.on('error', () => {})
    await Promise.all([once(socket, 'connect'), accepted])
    return socket
  }

  async crowd(): Promise<void> {
    for (let count = 0; count < UNPACED; count++) await this.connect()
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
    )
  }

  async untilConnections(count: number): Promise<void> {
    while ((await this.connections()) !== count) await turn()
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Requests a path; resolves to the body of the response. */
async function ask(socket: Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nhost: here\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  return String(answer).split('\r\n\r\n')[1] as string
}

t.test('the first connections are accepted at once, before they send a request', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  t.equal(paced.admitted, UNPACED)
})

t.test('of many connections at once, those beyond the first are accepted when they send a request', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  const late = await paced.connect()
  t.equal(paced.admitted, UNPACED)
  t.equal(await ask(late, '/late'), '/late')
  t.equal(paced.admitted, UNPACED + 1)
})

t.test('after a quiet tenth of a second no connection waits', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  paced.clock.advance(100)
  await paced.connect()
  t.equal(paced.admitted, UNPACED + 1)
})

t.test('while the hub is busy connections wait, and then are served in the order of their requests', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  paced.isBusy = true
  const answers: Promise<string>[] = []
  const paths = ['/0', '/1', '/2', '/3', '/4']
  for (const path of paths) {
    const socket = await paced.connect()
    const before = paced.pacer.waiting
    answers.push(ask(socket, path))
    while (paced.pacer.waiting === before) await turn()
  }
  t.same(paced.asked, [])
  paced.isBusy = false
  t.same(await Promise.all(answers), paths)
  t.same(paced.asked, paths)
})

t.test('a later connection does not overtake waiting ones, also in a quiet moment', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  paced.isBusy = true
  const first = ask(await paced.connect(), '/first')
  while (paced.pacer.waiting === 0) await turn()
  paced.clock.advance(1_000)
  const second = ask(await paced.connect(), '/second')
  while (paced.pacer.waiting < 2) await turn()
  t.same(paced.asked, [])
  paced.isBusy = false
  t.same(await Promise.all([first, second]), ['/first', '/second'])
  t.same(paced.asked, ['/first', '/second'])
})

t.test('a request waits at most three seconds for a hub that stays busy', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  paced.isBusy = true
  const first = ask(await paced.connect(), '/first')
  while (paced.pacer.waiting === 0) await turn()
  paced.clock.advance(2_000)
  const second = ask(await paced.connect(), '/second')
  while (paced.pacer.waiting < 2) await turn()
  paced.clock.advance(999)
  for (let turns = 0; turns < 20; turns++) await turn()
  t.same(paced.asked, [])
  paced.clock.advance(1)
  t.equal(await first, '/first')
  t.same(paced.asked, ['/first'], 'the second has waited for one second')
  paced.clock.advance(2_000)
  t.equal(await second, '/second')
})

t.test('a request that arrives in pieces, or with the next one behind it, is read whole', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  const socket = await paced.connect()
  socket.write('GET /a HT')
  while (paced.admitted === UNPACED) await turn()
  socket.write('TP/1.1\r\nhost: here\r\n\r\nGET /b HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of socket) text += chunk
  t.match(text, /\/a[\s\S]*\/b$/)
})

t.test('a client that leaves while it waits does no harm and leaves nothing behind', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  paced.isBusy = true
  const asking = await paced.connect()
  asking.write('GET /gone HTTP/1.1\r\nhost: here\r\n\r\n')
  while (paced.pacer.waiting === 0) await turn()
  asking.resetAndDestroy()
  const silent = await paced.connect()
  silent.resetAndDestroy()
  const polite = await paced.connect()
  polite.end()
  while (paced.pacer.waiting < 2) await turn()
  paced.isBusy = false
  await paced.untilConnections(UNPACED)
  t.same(paced.asked, [])
  t.equal(await ask(await paced.connect(), '/next'), '/next')
})

t.test('a connection that is silent for a second passes to the server, which has timeouts for it', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  const silent = await paced.connect()
  const gone = await paced.connect()
  gone.resetAndDestroy()
  while (paced.admitted === UNPACED) await turn()
  t.equal(paced.admitted, UNPACED + 1)
  t.equal(await ask(silent, '/at-last'), '/at-last')
})

t.test('once the pacer is opened no connection waits, with or without a request', async (t) => {
  const paced = await PacedServer.open(t)
  await paced.crowd()
  paced.isBusy = true
  const asking = await paced.connect()
  const answer = ask(asking, '/asked')
  while (paced.pacer.waiting === 0) await turn()
  const silent = await paced.connect()
  paced.pacer.open()
  t.equal(await answer, '/asked')
  t.equal(await ask(silent, '/silent'), '/silent')
  t.equal(await ask(await paced.connect(), '/new'), '/new')
})

t.test('a server that speaks TLS is not paced', async (t) => {
  const server = createSecureServer()
  const listeners = server.listeners('connection')
  t.equal(
    ConnectionPacer.pace(server, () => false, new FakeClock()),
    undefined
  )
  t.same(server.listeners('connection'), listeners)
})
