import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { buildHub, failOnWarnings, type HubHost } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'
import { StrictParser } from '../support/strict-parser.ts'

failOnWarnings(t)

const EVENTS = 20_000
const FILLER = 'x'.repeat(10_000)
const BURST = 50
/** Bytes that one write may leave in a backpressured socket: a burst, and the events that were pending before. */
const BOUND = 1_048_576

const turn = () => new Promise((resolve) => setImmediate(resolve))
const numberOf = (data: string) => Number.parseInt(data, 10)

/** A reader that keeps numbers instead of text, so that it can receive more than fits into memory. */
class Counter {
  readonly socket: Socket
  readonly seen: number[] = []
  #reached: () => void = () => {}
  #wanted = Number.POSITIVE_INFINITY

  constructor(t: Test, port: number, user: string) {
    const parser = new StrictParser()
    let isHead = true
    this.socket = connect(port, '127.0.0.1')
    t.teardown(() => this.socket.destroy())
    this.socket.write(`GET /events?user=${user} HTTP/1.1\r\nHost: hub\r\n\r\n`)
    this.socket.on('data', (bytes: Buffer) => {
      const start = isHead ? bytes.indexOf('\r\n\r\n') + 4 : 0
      isHead = false
      for (const { event, data } of parser.feed(bytes.subarray(start))) {
        if (event === 'message') this.seen.push(numberOf(data))
      }
      parser.events.length = 0
      if (this.seen.length >= this.#wanted) this.#reached()
    })
  }

  async count(events: number): Promise<void> {
    this.#wanted = events
    if (this.seen.length < events)
      await new Promise<void>((resolve) => {
        this.#reached = resolve
      })
  }
}

/** Broadcasts numbered events in bursts, no faster than the reader; returns the maximum of unsent bytes per stream. */
async function flood(host: HubHost, reader: Counter, from: number, to: number): Promise<Map<string, number>> {
  const max = new Map<string, number>()
  for (let event = from; event < to; event++) {
    await host.app.sse.broadcast({ data: `${event} ${FILLER}` })
    if (event % BURST !== BURST - 1) continue
    await reader.count(event + 1)
    for (const { user, unsent } of host.streams) {
      if (user !== null) max.set(user, Math.max(max.get(user) ?? 0, unsent))
    }
  }
  await reader.count(to)
  return max
}

/** Publishes until the first stream stays backpressured; returns the number of events by then. */
async function floodUntilFull(host: HubHost, reader: Counter, from: number): Promise<number> {
  let sent = from
  let turnsFull = 0
  while (turnsFull < 100) {
    if (host.closed.length > 0) throw new Error(`closed: ${host.closed.join(', ')}`)
    turnsFull = host.streams[0]?.isBackpressured ? turnsFull + 1 : 0
    if (turnsFull === 0) {
      await flood(host, reader, sent, sent + BURST)
      sent += BURST
    }
    await turn()
  }
  return sent
}

t.test(
  'a client that stops reading costs bounded memory, delays no other, is closed in time, and gets its gap on return',
  async (t) => {
    const clock = new FakeClock()
    const retention = { channelBytes: 16_777_216 }
    const host = await buildHub(t, { hub: { clock, stallTimeout: 30_000, retention } })
    const url = `${await host.listen()}/events?user=`
    const stalled = await host.client(`${url}stalled`)
    const reader = new Counter(t, host.port, 'reader')
    await host.untilOpened(2)

    stalled.pause()
    const start = performance.now()
    const max = await flood(host, reader, 0, EVENTS)
    t.comment(`${EVENTS} events of ${FILLER.length} bytes to the reader in ${Math.round(performance.now() - start)} ms`)
    t.comment(`at most ${max.get('stalled')} bytes waited for the stalled client`)
    t.ok((max.get('stalled') ?? 0) > 0, 'the client is stalled')
    t.ok((max.get('stalled') ?? 0) < BOUND)
    t.same(
      reader.seen,
      Array.from({ length: EVENTS }, (_, index) => index),
      'the other client has everything, in order'
    )
    t.equal(host.open, 2, 'no stream was closed early')

    clock.advance(29_000)
    t.equal(host.open, 2)
    clock.advance(2_000)
    t.same(host.closed, ['slow'])
    t.match(host.app.sse.stats(), { streams: 1, closed: { slow: 1 } })

    stalled.resume()
    await stalled.end()
    const before = stalled.published.map(({ data }) => numberOf(data))
    t.same(
      before,
      Array.from({ length: before.length }, (_, index) => index),
      'the events in flight are complete'
    )
    t.ok(before.length < EVENTS)
    t.match(stalled.events.at(-1), { event: 'hub.close', data: '{"reason":"slow","reconnect":true}' })
    t.ok(stalled.parser.isAtBoundary)

    const back = await StreamClient.open(`${url}stalled`, { lastEventId: stalled.lastEventId })
    await back.until(() => numberOf(back.published.at(-1)?.data ?? '') === EVENTS - 1, 'the newest')
    const { from, reason } = JSON.parse((await back.event('hub.gap')).data)
    t.match({ from, reason }, { from: stalled.lastEventId, reason: 'evicted' })
    const after = back.published.map(({ data }) => numberOf(data))
    const first = after[0] ?? 0
    t.ok(first > before.length)
    t.same(
      after,
      Array.from({ length: EVENTS - first }, (_, index) => first + index),
      'the rest is complete'
    )
  }
)

t.test('a client that stops reading, and reconnects while all events are retained, misses nothing', async (t) => {
  const clock = new FakeClock()
  const retention = { bytes: 2 ** 30, channelBytes: 2 ** 30 }
  const host = await buildHub(t, { hub: { clock, stallTimeout: 1_000, heartbeatInterval: 0, retention } })
  const url = `${await host.listen()}/events?user=`
  const stalled = await host.client(`${url}stalled`)
  const reader = new Counter(t, host.port, 'reader')
  await host.untilOpened(2)
  stalled.pause()
  const total = await floodUntilFull(host, reader, 0)
  clock.advance(1_250)
  t.same(host.closed, ['slow'])
  stalled.resume()
  await stalled.end()
  const back = await StreamClient.open(`${url}stalled`, { lastEventId: stalled.lastEventId })
  await back.count(total - stalled.published.length)
  t.same(
    [...stalled.published, ...back.published].map(({ data }) => numberOf(data)),
    Array.from({ length: total }, (_, index) => index)
  )
  t.notOk(back.events.some(({ event }) => event === 'hub.gap'))
})

t.test('a reader that pauses again and again is not closed and loses nothing', async (t) => {
  const clock = new FakeClock()
  const retention = { bytes: 2 ** 30, channelBytes: 2 ** 30 }
  const host = await buildHub(t, { hub: { clock, stallTimeout: 1_000, retention } })
  const url = `${await host.listen()}/events?user=`
  const pausing = await host.client(`${url}pausing`)
  const reader = new Counter(t, host.port, 'reader')
  await host.untilOpened(2)
  let sent = 0
  for (let round = 0; round < 4; round++) {
    pausing.pause()
    sent = await floodUntilFull(host, reader, sent)
    // Less than `stallTimeout`, also when it is counted in whole steps.
    clock.advance(700)
    pausing.resume()
    await pausing.count(sent)
  }
  t.same(
    pausing.published.map(({ data }) => numberOf(data)),
    Array.from({ length: sent }, (_, index) => index)
  )
  t.same(host.closed, [])
})

t.test('a producer waits for a client that stops reading, and ends when the client is gone', async (t) => {
  let produced = 0
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  async function* produce() {
    try {
      for (;;) yield { data: `${produced++} ${FILLER}` }
    } finally {
      end()
    }
  }
  const host = await buildHub(t, {
    host: (app) => app.get('/report', (request, reply) => app.sse.stream(request, reply, produce))
  })
  const client = await StreamClient.open(`${await host.listen()}/report`)
  await client.count(10)
  client.pause()
  // Until all buffers are full and the producer stops.
  for (let before = -1; before !== produced; ) {
    before = produced
    for (let turns = 0; turns < 200; turns++) await turn()
  }
  t.ok((host.streams[0]?.unsent ?? 0) < BOUND, `${host.streams[0]?.unsent} bytes wait`)
  client.cut()
  await ended
  await host.untilClosed(1)
  t.same(host.closed, ['client'])
  t.same(host.errors, [])
})
