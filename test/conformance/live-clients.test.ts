import { EventEmitter, once } from 'node:events'
import { EventSource as EventSourcePackage } from 'eventsource'
import { createEventSource } from 'eventsource-client'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { EventSource as UndiciEventSource } from 'undici'
import { buildHub, type HubHost } from '../support/build.ts'
import type { Received } from './clients.ts'

/** Clients that reconnect by themselves, on a real server: W-16, W-18, W-20, W-22, W-29 and W-30 of the standard. */

/** How long a test waits before it fails, in milliseconds. */
const PATIENCE = 10_000
const NAMES = ['message', 'named', 'hub.welcome', 'hub.heartbeat', 'hub.gap', 'hub.close']

/** A common API for the tests, over any client implementation. */
class LiveClient {
  readonly events: Received[] = []
  /** It has given up, and will not reconnect. */
  isOver = false
  close: () => void = () => {}
  readonly #changes = new EventEmitter()

  take(event: Received): void {
    this.events.push(event)
    this.notify()
  }

  notify(): void {
    this.#changes.emit('change')
  }

  of(name: string): Received[] {
    return this.events.filter(({ event }) => event === name)
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    const patience = AbortSignal.timeout(PATIENCE)
    while (!isTrue()) {
      try {
        await once(this.#changes, 'change', { signal: patience })
      } catch {
        throw new Error(`waited in vain for ${what}; got ${JSON.stringify(this.events).slice(-1_000)}`)
      }
    }
  }
}

/** The common API of the two clients that imitate the browser's. */
interface BrowserLike {
  readonly readyState: number
  addEventListener(name: string, listener: (event: { data: string; lastEventId: string }) => void): void
  close(): void
}

function openBrowserLike(source: BrowserLike): LiveClient {
  const client = new LiveClient()
  for (const event of NAMES) {
    source.addEventListener(event, ({ data, lastEventId }) => client.take({ event, data, lastEventId }))
  }
  source.addEventListener('error', () => {
    client.isOver = source.readyState === 2
    client.notify()
  })
  client.close = () => source.close()
  return client
}

function openEventSourceClient(url: string): LiveClient {
  const client = new LiveClient()
  const source = createEventSource({
    url,
    onMessage: ({ event = 'message', data }) => client.take({ event, data, lastEventId: source.lastEventId ?? '' }),
    onDisconnect: () => {
      // The callback comes before the state changes.
      queueMicrotask(() => {
        client.isOver = source.readyState === 'closed'
        client.notify()
      })
    }
  })
  client.close = () => source.close()
  return client
}

const CLIENTS: Record<string, (url: string) => LiveClient> = {
  eventsource: (url) => openBrowserLike(new EventSourcePackage(url) as BrowserLike),
  undici: (url) => openBrowserLike(new UndiciEventSource(url) as unknown as BrowserLike),
  'eventsource-client': openEventSourceClient
}

interface Scene {
  readonly host: HubHost
  readonly client: LiveClient
  /** The last event ID of each request. */
  readonly lastEventIds: (string | undefined)[]
  readonly statuses: number[]
}

async function openScene(t: Test, open: (url: string) => LiveClient, hub: object = {}): Promise<Scene> {
  const lastEventIds: (string | undefined)[] = []
  const statuses: number[] = []
  const addRoute = (app: FastifyInstance) => {
    app.get('/events', async (request, reply) => {
      lastEventIds.push(request.headers['last-event-id'] as string | undefined)
      const stream = await app.sse.connect(request, reply)
      statuses.push(reply.raw.statusCode)
      return stream
    })
  }
  const host = await buildHub(t, { hub: { reconnectionTime: 10, ...hub }, host: addRoute })
  const client = open(`${await host.listen()}/events?user=alice`)
  t.teardown(() => client.close())
  return { host, client, lastEventIds: lastEventIds, statuses }
}

for (const [name, open] of Object.entries(CLIENTS)) {
  t.test(`${name}: reads every event as it was sent, with any content`, async (t) => {
    const { host, client, lastEventIds } = await openScene(t, open)
    await client.until(() => client.of('hub.welcome').length === 1, 'the welcome')
    const sent = ['', ' x', 'a\r\nb\rc\n', 'data: x', '\uFEFF☃😀', ': y', '{"a":1}', 'x'.repeat(60_000)]
    for (const data of sent) await host.app.sse.send('alice', { event: 'named', data })
    await client.until(() => client.of('named').length === sent.length, 'all events')
    t.strictSame(
      client.of('named').map(({ data }) => data),
      sent.map((data) => data.replace(/\r\n?/g, '\n'))
    )
    t.strictSame(lastEventIds, [undefined])
  })

  t.test(`${name}: reconnects with the id of its last event, though others without an id came after it`, async (t) => {
    const { host, client, lastEventIds } = await openScene(t, open)
    await client.until(() => client.of('hub.welcome').length === 1, 'the welcome')
    const { id } = await host.app.sse.send('alice', { data: '1' })
    await host.app.sse.send('alice', { data: '2', transient: true })
    await client.until(() => client.of('message').length === 2, 'both events')
    await host.app.sse.disconnect('alice', { reconnect: true })
    await client.until(() => client.of('hub.welcome').length === 2, 'the second welcome')
    t.strictSame(lastEventIds, [undefined, id])
    t.match(JSON.parse(client.of('hub.welcome')[1]?.data ?? ''), { resumed: true, replayed: 0 })
  })

  t.test(`${name}: gets every event once and in order, however often it is cut`, async (t) => {
    const { host, client, lastEventIds } = await openScene(t, open)
    const sent: string[] = []
    for (let cut = 1; cut <= 10; cut++) {
      // Before its welcome it has no position to resume from.
      await client.until(() => client.of('hub.welcome').length === cut, `welcome ${cut}`)
      for (let count = 0; count < 10; count++) {
        sent.push(`${sent.length}`)
        // Some events are under way when it is cut, some are published while it is away.
        const publishing = host.app.sse.send('alice', { data: `${sent.length - 1}` })
        if (count === 5) await host.app.sse.disconnect('alice', { reconnect: true })
        await publishing
      }
    }
    await client.until(() => client.of('message').length >= sent.length, 'all events')
    t.strictSame(
      client.of('message').map(({ data }) => data),
      sent
    )
    t.equal(client.of('hub.gap').length, 0)
    t.equal(lastEventIds.length, 11)
  })

  t.test(`${name}: heartbeats move its cursor, though it gets no event`, async (t) => {
    const { host, client, lastEventIds } = await openScene(t, open, { heartbeatInterval: 50 })
    await client.until(() => client.of('hub.welcome').length === 1, 'the welcome')
    for (let count = 0; count < 5; count++) await host.app.sse.send('bob', { data: 'x' })
    const head = host.app.sse.cursor()
    await client.until(() => client.of('hub.heartbeat').some(({ lastEventId }) => lastEventId === head), 'the new head')
    await host.app.sse.disconnect('alice', { reconnect: true })
    await client.until(() => client.of('hub.welcome').length === 2, 'the second welcome')
    t.strictSame(lastEventIds, [undefined, head])
  })

  t.test(`${name}: closed for good, it reconnects once more and then never again`, async (t) => {
    const { host, client, lastEventIds, statuses } = await openScene(t, open)
    await client.until(() => client.of('hub.welcome').length === 1, 'the welcome')
    await host.app.sse.disconnect('alice')
    await client.until(() => client.isOver, 'the end')
    t.strictSame(JSON.parse(client.of('hub.close')[0]?.data ?? ''), { reason: 'kicked', reconnect: false })
    t.strictSame(statuses, [200, 204])
    t.match(lastEventIds[1], /\.end$/)
  })

  t.test(`${name}: rejected for lack of room, it does not give up`, async (t) => {
    const { host, client, statuses } = await openScene(t, open, { maxStreams: 1 })
    await client.until(() => client.of('hub.welcome').length === 1, 'the welcome')
    const late = open(`${host.url}/events?user=bob`)
    t.teardown(() => late.close())
    await late.until(() => late.of('hub.close').length === 1, 'to be rejected')
    t.strictSame(JSON.parse(late.of('hub.close')[0]?.data ?? ''), { reason: 'limit', reconnect: true })
    t.notOk(late.isOver)
    t.ok(statuses.every((status) => status === 200))
  })
}
