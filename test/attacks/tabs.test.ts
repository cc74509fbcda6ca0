import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { runs } from '../support/fuzz.ts'
import { RawSocket } from '../support/raw-socket.ts'

failOnWarnings(t)
t.setTimeout(600_000)

const TABS = runs(5_000)
const LIMIT = 100
const SLICE = 50

/** A tab that keeps only the end of the received text. */
class Tab {
  readonly socket: Socket
  tail = ''

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' })
    this.socket.on('error', () => {})
    this.socket.on('data', (bytes: Buffer) => {
      this.tail = (this.tail + bytes).slice(-300)
    })
    this.socket.write('GET /events?user=mallory HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n\r\n')
  }

  async welcomed(): Promise<void> {
    while (!this.tail.includes('hub.welcome')) {
      if (this.tail.includes('hub.close')) throw new Error(`refused: ${this.tail}`)
      await once(this.socket, 'data')
    }
  }
}

t.test(
  `a user with ${TABS} tabs has ${LIMIT} streams, the newest; the others do not reconnect, and no other user is affected`,
  async (t) => {
    const host = await buildHub(t, { hub: { maxStreamsPerUser: LIMIT, openingRate: 0 } })
    const url = await host.listen()
    const bystander = await host.client(`${url}/events?user=alice`)
    const tabs: Tab[] = []
    let max = 0
    let replaced = 0
    let returning: string | undefined
    for (let opened = 0; opened < TABS; opened += SLICE) {
      const slice = Array.from({ length: SLICE }, () => new Tab(host.port))
      await Promise.all(slice.map((tab) => tab.welcomed()))
      tabs.push(...slice)
      max = Math.max(max, host.open)
      // Replaced tabs read to their end, and close.
      for (const tab of tabs.splice(0, Math.max(0, tabs.length - LIMIT))) {
        if (!tab.socket.closed) await once(tab.socket, 'close')
        if (tab.tail.includes('data: {"reason":"replaced","reconnect":false}\n')) replaced++
        returning = /id: (\S+\.end)\n/.exec(tab.tail)?.[1]
      }
    }
    t.ok(max <= LIMIT + 1, `${max} streams at most, one of them of another user`)
    t.equal(replaced, TABS - LIMIT, 'each replaced stream was closed for good')
    const back = await RawSocket.stream(host.port, '/events?user=mallory', `Last-Event-ID: ${returning}\r\n`)
    t.match(back.head, /^HTTP\/1\.1 204 /, 'one that reconnects nevertheless is rejected, and replaces no other')
    t.equal((await host.app.sse.send('mallory', { data: 'x' })).streams, LIMIT)
    await host.app.sse.broadcast({ data: 'for all' })
    await bystander.count(1)
    t.match(host.app.sse.stats(), { streams: LIMIT + 1, users: 2, closed: { replaced: TABS - LIMIT } })
    for (const { socket } of tabs) socket.destroy()
    back.socket.destroy()
    await host.untilClosed(TABS)
    t.equal(host.open, 1)
    t.same(host.errors, [])
  }
)
