import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { type SseHubOptions, sseHub } from '../../plugins/sse-hub.ts'
import { systemClock } from '../../services/clock.ts'
import { reset } from '../../testing/reset.ts'
import { RECONNECTING_CLIENTS, type ReconnectingClient } from '../support/reconnecting-client.ts'

/** How long a test waits before it fails, in milliseconds. */
const PATIENCE = 10_000

interface SeenRequest {
  readonly lastEventId: string | undefined
  readonly at: number
  status: number
}

/** A host with one route, whose connections can be destroyed. */
async function startServer(t: Test, options: SseHubOptions = {}, port = 0) {
  const app = Fastify()
  t.teardown(() => app.close())
  const sockets = new Set<Socket>()
  const requests: SeenRequest[] = []
  const changes = new EventEmitter()
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await app.register(sseHub, { reconnectionTime: 20, ...options })
  app.get('/events', async (request, reply) => {
    const { 'last-event-id': lastEventId } = request.headers
    const entry = { lastEventId: lastEventId as string | undefined, at: performance.now(), status: 0 }
    requests.push(entry)
    const stream = await app.sse.connect(request, reply, { user: 'alice' })
    entry.status = reply.raw.statusCode
    changes.emit('change')
    return stream
  })
  const url = `${await app.listen({ host: '127.0.0.1', port })}/events`
  return {
    app,
    url,
    requests,
    /** Destroys every connection, with all bytes under way in either direction. */
    cut() {
      for (const socket of sockets) reset(socket)
    },
    async untilRequests(count: number) {
      const signal = AbortSignal.timeout(PATIENCE)
      while (requests.length < count || requests.some(({ status }) => status === 0))
        await once(changes, 'change', { signal })
    }
  }
}

function connect(t: Test, open: (url: string) => ReconnectingClient, url: string): ReconnectingClient {
  const client = open(url)
  t.teardown(() => client.close())
  return client
}

for (const [name, open] of Object.entries(RECONNECTING_CLIENTS)) {
  t.test(`${name}: is cut again and again, and gets exactly what it missed`, async (t) => {
    const { app, url, requests, cut, untilRequests } = await startServer(t)
    const client = connect(t, open, url)
    const sent: string[] = []
    const send = async () => {
      sent.push(String(sent.length))
      await app.sse.send('alice', { data: String(sent.length - 1) })
    }
    for (let cuts = 1; cuts <= 10; cuts++) {
      await client.count('hub.welcome', cuts)
      for (let at = 0; at < 5; at++) await send()
      if (cuts % 2 === 0) await client.count('message', sent.length)
      cut()
      for (let at = 0; at < 5; at++) await send()
      await untilRequests(cuts + 1)
    }
    await client.count('message', sent.length)
    t.same(client.of('message'), sent)
    t.same(client.of('hub.gap'), [])
    t.equal(requests[0]?.lastEventId, undefined)
    t.ok(
      requests.slice(1).every(({ lastEventId }) => lastEventId !== undefined),
      'it sent an id each time'
    )
    t.same(
      client.of('hub.welcome').map((data) => JSON.parse(data).resumed),
      [false, ...Array(10).fill(true)]
    )
  })

  t.test(`${name}: waits for its reconnection time before it reconnects`, async (t) => {
    const clock = { ...systemClock, random: () => 0.5 }
    const { url, requests, cut, untilRequests } = await startServer(t, { reconnectionTime: 400, clock })
    const client = connect(t, open, url)
    await client.count('hub.welcome', 1)
    const cutAt = performance.now()
    cut()
    await untilRequests(2)
    const waited = (requests[1]?.at ?? 0) - cutAt
    // By default they wait two to five seconds.
    t.ok(waited > 380 && waited < 1_500, `reconnected after ${Math.round(waited)} ms`)
  })

  t.test(`${name}: gets a gap for evicted events, before the retained ones`, async (t) => {
    const { app, url, cut } = await startServer(t, { retention: { user: 2 } })
    const client = connect(t, open, url)
    await client.count('hub.welcome', 1)
    await app.sse.send('alice', { data: '1' })
    await client.count('message', 1)
    cut()
    for (const data of ['2', '3', '4', '5']) await app.sse.send('alice', { data })
    await client.count('message', 3)
    t.same(
      client.seen.map(({ event, data }) => (event === 'message' ? data : event)),
      ['hub.welcome', '1', 'hub.welcome', 'hub.gap', '4', '5']
    )
    t.equal(JSON.parse(client.of('hub.gap')[0] ?? '').reason, 'evicted')
  })

  t.test(`${name}: finds a restarted server, gets a gap because its history is lost, and continues`, async (t) => {
    const first = await startServer(t)
    const client = connect(t, open, first.url)
    await client.count('hub.welcome', 1)
    await first.app.sse.send('alice', { data: 'before' })
    await client.count('message', 1)
    const { port } = new URL(first.url)
    await first.app.close()
    const second = await startServer(t, {}, Number(port))
    await client.count('hub.gap', 1)
    await second.app.sse.send('alice', { data: 'after' })
    t.same(await client.count('message', 2), ['before', 'after'])
    t.match(
      client.of('hub.close').map((data) => JSON.parse(data)),
      [{ reason: 'shutdown', reconnect: true }]
    )
    t.equal(JSON.parse(client.of('hub.gap')[0] ?? '').reason, 'reset')
  })

  t.test(`${name}: is stopped by a 204 when it reconnects after a close for good`, async (t) => {
    const { app, url, requests } = await startServer(t)
    const client = connect(t, open, url)
    await client.count('hub.welcome', 1)
    await app.sse.disconnect('alice')
    await client.until(() => client.isOver, 'the end')
    t.same(
      requests.map(({ status }) => status),
      [200, 204]
    )
    t.match(requests[1]?.lastEventId, /\.end$/)
  })
}
