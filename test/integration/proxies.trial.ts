import { EventEmitter } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import t, { type Test } from 'tap'
import { buildHub, type HubHost } from '../support/build.ts'
import { PROXIES, startProxy } from '../support/proxies.ts'
import { StreamClient } from '../support/stream-client.ts'
import { type Dispatched, StrictParser } from '../support/strict-parser.ts'
import { untilChange } from '../support/waiting.ts'

t.setTimeout(240_000)

/** The shortened timeout of the proxies, in seconds. */
const TIMEOUT = 4

/** A stream among others of one HTTP/2 connection. */
class Http2Stream {
  readonly #parser = new StrictParser()
  readonly #changes = new EventEmitter()
  readonly #stream: ClientHttp2Stream
  #text = ''

  constructor(session: ClientHttp2Session, path: string) {
    const stream = session.request({ ':path': path, accept: 'text/event-stream' })
    stream.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString()
      this.#parser.feed(bytes)
      this.#changes.emit('change')
    })
    stream.on('error', () => {})
    this.#stream = stream
  }

  get isEmpty(): boolean {
    return this.#text === ''
  }

  cut(): void {
    this.#stream.close()
  }

  async event(name: string): Promise<Dispatched | undefined> {
    const found = () => this.#parser.events.find(({ event }) => event === name)
    await untilChange(
      this.#changes,
      () => found() !== undefined,
      `an event ${name}`,
      () => this.#text
    )
    return found()
  }
}

const publish = (host: HubHost, event: string) => host.app.sse.send('alice', { event, data: event })

for (const program of PROXIES) {
  const { name, skip, maxStreams = 10 } = program
  const start = async (t: Test, heartbeatInterval: number) => {
    const host = await buildHub(t, { hub: { heartbeatInterval, reconnectionTime: 10 } })
    return { host, proxy: await startProxy(t, program, await host.listen(), TIMEOUT) }
  }

  t.test(`${name} passes each event on before the next is sent, and headers of the stream`, { skip }, async (t) => {
    const { host, proxy } = await start(t, 15_000)
    const client = await StreamClient.open(`${proxy.plain}/events?user=alice`)
    t.match(client.response.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform' })
    t.equal(client.response.headers['content-encoding'], undefined)
    await client.event('hub.welcome')
    for (const event of ['first', 'second', 'third']) {
      await publish(host, event)
      await client.event(event)
    }
    client.cut()
  })

  t.test(`${name} carries streams on one HTTP/2 connection`, { skip }, async (t) => {
    const { host, proxy } = await start(t, 15_000)
    const session = connect(proxy.secure, { rejectUnauthorized: false, family: 4 } as object)
    t.teardown(() => session.destroy())
    const streams = Array.from({ length: maxStreams }, () => new Http2Stream(session, '/events?user=alice'))
    for (const stream of streams) await stream.event('hub.welcome')
    t.equal(session.alpnProtocol, 'h2')
    for (const event of ['first', 'second']) {
      await publish(host, event)
      for (const stream of streams) t.equal((await stream.event(event))?.data, event)
    }
    if (program.maxStreams === undefined) return
    const waiting = new Http2Stream(session, '/events?user=alice')
    await publish(host, 'third')
    for (const stream of streams) await stream.event('third')
    t.equal(waiting.isEmpty, true, 'one more waits')
    streams[0]?.cut()
    await waiting.event('hub.welcome')
  })

  t.test(`a stream with heartbeats outlives the timeout of ${name}`, { skip }, async (t) => {
    const { host, proxy } = await start(t, (TIMEOUT * 1_000) / 10)
    const client = await StreamClient.open(`${proxy.plain}/events?user=alice`)
    const heartbeats = () => client.events.filter(({ event }) => event === 'hub.heartbeat').length
    // Twice the timeout, in heartbeats.
    await client.until(() => heartbeats() >= 20 || client.isEnded, 'twenty heartbeats')
    t.equal(client.isEnded, false)
    await publish(host, 'last')
    await client.event('last')
    client.cut()
  })

  t.test(`a stream that ${name} cuts in silence resumes with nothing lost`, { skip }, async (t) => {
    const { host, proxy } = await start(t, 0)
    const url = `${proxy.plain}/events?user=alice`
    const client = await StreamClient.open(url)
    await client.event('hub.welcome')
    await publish(host, 'before')
    await client.event('before')
    await client.end()
    await publish(host, 'meanwhile')
    const { lastEventId } = client
    const back = await StreamClient.open(url, { lastEventId })
    await back.event('meanwhile')
    t.same(
      back.published.map(({ event }) => event),
      ['meanwhile']
    )
    back.cut()
  })
}
