import { request } from 'node:http'
import t from 'tap'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const STREAMS = 1_000
/** Generous, because slow or busy machines must pass. */
const PROMPT = 8_000

/** The number of resources of each kind that keep this process alive. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  // The output of tap.
  for (const kind of ['PipeWrap', 'TTYWrap', 'FSReqCallback', 'FSReqPromise', 'WriteWrap']) delete counts[kind]
  return counts
}

/** Resolves to the remaining resources, once they equal those before or after `PROMPT`. */
async function back(before: Record<string, number>): Promise<string> {
  const until = performance.now() + PROMPT
  for (;;) {
    const left = JSON.stringify(resources())
    if (left === JSON.stringify(before) || performance.now() > until) return left
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function openMany(url: string, count: number): Promise<StreamClient[]> {
  const clients: StreamClient[] = []
  for (let at = 0; at < count; at += 100) {
    const slice = Array.from({ length: 100 }, (_, index) =>
      StreamClient.open(`${url}/events?user=u${(at + index) % 300}`)
    )
    clients.push(...(await Promise.all(slice)))
  }
  await Promise.all(clients.map((client) => client.event('hub.welcome')))
  return clients
}

t.test('closing the app ends 1,000 streams on an event boundary, and leaves no handle', async (t) => {
  const before = resources()
  const host = await buildHub(t)
  const url = await host.listen()
  const clients = await openMany(url, STREAMS)
  // A client that reads nothing, with far more pending than the buffers hold.
  const stalled = await host.client(`${url}/events?user=stalled`)
  stalled.pause()
  for (let event = 0; event < 300; event++) {
    await host.app.sse.send('stalled', { data: 'x'.repeat(60_000) })
    await new Promise((resolve) => setImmediate(resolve))
  }
  // Accepted in the turn of the event loop that closes the app: pending, and delivered before the end.
  const last = host.app.sse.broadcast({ event: 'last', data: 'before the end' })

  const start = performance.now()
  await host.app.close()
  const took = performance.now() - start
  t.comment(`${STREAMS} streams and a stalled one were closed in ${Math.round(took)} ms`)
  t.ok(took < PROMPT)
  const { id } = await last

  await Promise.all(clients.map((client) => client.end()))
  const whole = clients.filter(({ events, parser }) => {
    const [lastEvent, close] = events.slice(-2)
    return parser.isAtBoundary && lastEvent?.id === id && close?.event === 'hub.close'
  })
  t.equal(whole.length, STREAMS, 'each got its pending events and its end')
  t.ok(clients.every(({ events }) => events.at(-1)?.data === '{"reason":"shutdown","reconnect":true}'))
  const times = new Set(clients.map(({ parser }) => parser.reconnectionTime))
  t.ok(times.size > STREAMS / 10, `${times.size} different reconnection times`)
  t.match(host.app.sse.stats(), { streams: 0, closed: { shutdown: STREAMS + 1 } })

  stalled.cut()
  await stalled.end()
  t.same(JSON.parse(await back(before)), before)
  t.same(host.errors, [])
})

t.test('closing idle connections does not cut the unread rest of an ended stream', async (t) => {
  const host = await buildHub(t)
  const slow = await host.client(`${await host.listen()}/events?user=slow`)
  slow.pause()
  while (!host.streams[0]?.isBackpressured) {
    await host.app.sse.send('slow', { data: 'x'.repeat(60_000) })
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok((host.streams[0]?.unsent ?? 0) > 0)
  await host.app.sse.disconnect('slow', { reconnect: true })
  // Every server does this when it closes.
  host.app.server.closeIdleConnections()
  slow.resume()
  await slow.end()
  t.match(slow.events.at(-1), { event: 'hub.close', data: '{"reason":"kicked","reconnect":true}' })
  t.ok(slow.parser.isAtBoundary)
})

t.test('closing the app twice, or while it closes, closes it once', async (t) => {
  const host = await buildHub(t)
  const client = await host.client(`${await host.listen()}/events?user=alice`)
  await Promise.all([host.app.close(), host.app.close(), host.app.sse.drain()])
  await host.app.close()
  await client.end()
  t.same(host.closed, ['shutdown'])
  t.equal(client.events.filter(({ event }) => event === 'hub.close').length, 1)
})

t.test('an event that is published while the app closes is stored, and refused once the log is closed', async (t) => {
  const host = await buildHub(t, {
    host: (app) => {
      app.get('/events', (request, reply) => app.sse.connect(request, reply))
      app.addHook('preClose', async () => {
        t.match(await app.sse.send('alice', { data: 'in between' }), { id: /.+/ })
      })
    }
  })
  await host.app.close()
  await t.rejects(host.app.sse.send('alice', { data: 'too late' }), { code: 'SSE_HUB_ERR_CLOSED' })
  t.equal(await host.app.sse.ready(), false)
})

t.test('an app that never listened, and has streams of inject, closes', async (t) => {
  const host = await buildHub(t)
  const response = await host.app.inject({ url: '/events?user=alice', payloadAsStream: true })
  await host.app.close()
  const chunks: Buffer[] = []
  for await (const chunk of response.stream()) chunks.push(chunk)
  t.match(
    Buffer.concat(chunks).toString(),
    /event: hub\.close\ndata: \{"reason":"shutdown","reconnect":true\}\nretry: \d+\n(id: .+\n)?\n$/
  )
})

t.test('a thousand streams that are cut as they open leave nothing behind', async (t) => {
  const host = await buildHub(t)
  const url = await host.listen()
  await host.client(`${url}/events?user=first`).then((client) => client.cut())
  await host.untilClosed(1)
  const before = resources()
  for (let round = 0; round < 10; round++) {
    const cuts = Array.from({ length: 100 }, async (_, index) => {
      const outgoing = request(`${url}/events?user=u${index % 7}`, { agent: false })
      outgoing.on('error', () => {})
      const ended = new Promise<void>((resolve) => {
        outgoing.on('close', resolve)
      })
      // Some are cut before they connect, some after the request, some after the response.
      if (index % 3 === 0) outgoing.on('socket', (socket) => socket.destroy())
      else if (index % 3 === 1) outgoing.on('finish', () => outgoing.destroy())
      else outgoing.on('response', () => outgoing.destroy())
      outgoing.end()
      await ended
    })
    await Promise.all(cuts)
  }
  t.same(JSON.parse(await back(before)), before)
  const { streams, opened, closed } = host.app.sse.stats()
  t.equal(streams, 0)
  t.equal(opened, closed.client)
  t.comment(`${opened} streams were open before they were cut`)
  t.ok(opened >= 330)
  t.same(host.errors, [])
})
