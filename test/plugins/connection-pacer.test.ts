import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ConnectionPacer } from '../../plugins/connection-pacer.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** So many are let in before the pacer begins to look after who comes: while its clock stands still, all come in one window. */
const AT_EASE = 50

/** A server that answers with the path it was asked for, behind a pacer whose clock stands still. */
class Place {
  readonly clock = new FakeClock()
  readonly asked: string[] = []
  readonly server: Server
  readonly pacer: ConnectionPacer
  isBusy = false
  admitted = 0
  #port = 0

  static async open(t: Test): Promise<Place> {
    const position = new Place()
    position.server.listen(0, '127.0.0.1')
    await once(position.server, 'listening')
    position.#port = (position.server.address() as AddressInfo).port
    t.teardown(() => {
      position.server.closeAllConnections()
      position.server.close()
    })
    return position
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
    for (let count = 0; count < AT_EASE; count++) await this.connect()
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

/** Asks for a path; fulfilled with the body that comes. */
async function ask(socket: Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nhost: here\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  return String(answer).split('\r\n\r\n')[1] as string
}

t.test('who comes while few come is let in at once, before he has asked for anything', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  t.equal(position.admitted, AT_EASE)
})

t.test('of many who come at once, the others are let in when they ask', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  const late = await position.connect()
  t.equal(position.admitted, AT_EASE)
  t.equal(await ask(late, '/late'), '/late')
  t.equal(position.admitted, AT_EASE + 1)
})

t.test('after a quiet tenth of a second nobody waits again', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  position.clock.advance(100)
  await position.connect()
  t.equal(position.admitted, AT_EASE + 1)
})

t.test('while the hub is busy they wait, and then are served in the order in which they asked', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  position.isBusy = true
  const answers: Promise<string>[] = []
  const paths = ['/0', '/1', '/2', '/3', '/4']
  for (const path of paths) {
    const socket = await position.connect()
    const before = position.pacer.waiting
    answers.push(ask(socket, path))
    while (position.pacer.waiting === before) await turn()
  }
  t.same(position.asked, [])
  position.isBusy = false
  t.same(await Promise.all(answers), paths)
  t.same(position.asked, paths)
})

t.test('a connection that comes later does not overtake those that wait, also in a quiet moment', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  position.isBusy = true
  const first = ask(await position.connect(), '/first')
  while (position.pacer.waiting === 0) await turn()
  position.clock.advance(1_000)
  const second = ask(await position.connect(), '/second')
  while (position.pacer.waiting < 2) await turn()
  t.same(position.asked, [])
  position.isBusy = false
  t.same(await Promise.all([first, second]), ['/first', '/second'])
  t.same(position.asked, ['/first', '/second'])
})

t.test('a request waits at most three seconds for a hub that stays busy', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  position.isBusy = true
  const first = ask(await position.connect(), '/first')
  while (position.pacer.waiting === 0) await turn()
  position.clock.advance(2_000)
  const second = ask(await position.connect(), '/second')
  while (position.pacer.waiting < 2) await turn()
  position.clock.advance(999)
  for (let turns = 0; turns < 20; turns++) await turn()
  t.same(position.asked, [])
  position.clock.advance(1)
  t.equal(await first, '/first')
  t.same(position.asked, ['/first'], 'the second has waited for one second')
  position.clock.advance(2_000)
  t.equal(await second, '/second')
})

t.test('a request that arrives in pieces, or with the next one behind it, is read whole', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  const socket = await position.connect()
  socket.write('GET /a HT')
  while (position.admitted === AT_EASE) await turn()
  socket.write('TP/1.1\r\nhost: here\r\n\r\nGET /b HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of socket) text += chunk
  t.match(text, /\/a[\s\S]*\/b$/)
})

t.test('who gives up while he waits harms nobody, and leaves nothing behind', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  position.isBusy = true
  const asking = await position.connect()
  asking.write('GET /gone HTTP/1.1\r\nhost: here\r\n\r\n')
  while (position.pacer.waiting === 0) await turn()
  asking.resetAndDestroy()
  const silent = await position.connect()
  silent.resetAndDestroy()
  const polite = await position.connect()
  polite.end()
  while (position.pacer.waiting < 2) await turn()
  position.isBusy = false
  await position.untilConnections(AT_EASE)
  t.same(position.asked, [])
  t.equal(await ask(await position.connect(), '/next'), '/next')
})

t.test('who says nothing for a second is handed to the server, which has timeouts for that', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  const silent = await position.connect()
  const gone = await position.connect()
  gone.resetAndDestroy()
  while (position.admitted === AT_EASE) await turn()
  t.equal(position.admitted, AT_EASE + 1)
  t.equal(await ask(silent, '/at-last'), '/at-last')
})

t.test('once it is opened nobody waits, whether he has asked or not', async (t) => {
  const position = await Place.open(t)
  await position.crowd()
  position.isBusy = true
  const asking = await position.connect()
  const answer = ask(asking, '/asked')
  while (position.pacer.waiting === 0) await turn()
  const silent = await position.connect()
  position.pacer.open()
  t.equal(await answer, '/asked')
  t.equal(await ask(silent, '/silent'), '/silent')
  t.equal(await ask(await position.connect(), '/new'), '/new')
})

t.test('a server that speaks TLS is left alone', async (t) => {
  const server = createSecureServer()
  const listeners = server.listeners('connection')
  t.equal(
    ConnectionPacer.pace(server, () => false, new FakeClock()),
    undefined
  )
  t.same(server.listeners('connection'), listeners)
})
