import t from 'tap'
import type { SseHub } from '../../plugins/sse-hub.ts'
import { buildHub, failOnWarnings, userOfQuery } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const LAST_OF_2099 = Date.UTC(2099, 11, 31)

/** Publishes `data` 1 to `count` to a user, and returns the ids. */
async function sendMany(sse: Pick<SseHub, 'send'>, user: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let data = 1; data <= count; data++) ids.push((await sse.send(user, { data })).id ?? '')
  return ids
}

const dataOf = (events: readonly { data: string }[]) => events.map(({ data }) => data)

t.test('a stream begins with its headers, a reconnection time and hub.welcome', async (t) => {
  const host = await buildHub(t, { hub: { reconnectionTime: 1_000 } })
  const client = await host.client(`${await host.listen()}/events?user=alice`)

  t.equal(client.status, 200)
  t.match(client.response.headers, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no'
  })
  t.equal(client.response.headers['transfer-encoding'], 'chunked')
  for (const name of ['content-length', 'content-encoding', 'etag'])
    t.notOk(client.response.headers[name], `no ${name}`)
  t.match(client.text, /^event: hub\.welcome\ndata: .*\nretry: \d+\nid: [0-9a-z.]{1,32}\n\n/)
  t.ok((client.parser.reconnectionTime ?? 0) >= 500 && (client.parser.reconnectionTime ?? 0) <= 1_500)
  t.same(JSON.parse((await client.event('hub.welcome')).data), {
    stream: host.streams[0]?.id,
    user: 'alice',
    topics: [],
    online: { users: 1, streams: 1 },
    heartbeatInterval: 15_000,
    resumed: false,
    replayed: 0
  })
})

t.test('every tab of a user gets the events for that user, and no other stream does', async (t) => {
  const host = await buildHub(t)
  const url = await host.listen()
  const [one, two, bob] = await Promise.all([
    host.client(`${url}/events?user=alice`),
    host.client(`${url}/events?user=alice`),
    host.client(`${url}/events?user=bob`)
  ])
  const receipt = await host.app.sse.send('alice', { event: 'order.shipped', data: { id: 42 } })
  await host.app.sse.broadcast({ data: 'fence' })

  t.equal(receipt.streams, 2)
  for (const tab of [one, two]) {
    const [shipped] = await tab.count(2)
    t.match(shipped, { event: 'order.shipped', data: '{"id":42}', id: receipt.id })
  }
  t.same(dataOf(await bob.count(1)), ['fence'])
})

t.test('a quiet stream gets heartbeats, which advance its cursor when the head has advanced', async (t) => {
  const clock = new FakeClock()
  const host = await buildHub(t, { hub: { clock, heartbeatInterval: 1_000 } })
  const bob = await host.client(`${await host.listen()}/events?user=bob`)
  const before = bob.lastEventId

  clock.advance(1_100)
  await bob.event('hub.heartbeat')
  t.equal(bob.lastEventId, before, 'the head has not advanced')

  const { id } = await host.app.sse.send('alice', { data: 'not for bob' })
  clock.advance(1_100)
  await bob.until(() => bob.lastEventId === id, 'a heartbeat with the new head')
  t.same(bob.published, [])
})

t.test('a stream that was cut resumes, however the client sends its cursor', async (t) => {
  const host = await buildHub(t)
  const url = await host.listen()
  const [first = '', second = ''] = await sendMany(host.app.sse, 'alice', 3)
  const cases: [string, string, Record<string, string>, string[]][] = [
    ['as a header', '', { 'last-event-id': first }, ['2', '3']],
    ['as ?lastEventId', `&lastEventId=${first}`, {}, ['2', '3']],
    ['as ?last_event_id', `&last_event_id=${first}`, {}, ['2', '3']],
    ['as ?Last-Event-ID', `&Last-Event-ID=${first}`, {}, ['2', '3']],
    ['both ways: the header wins', `&lastEventId=${first}`, { 'last-event-id': second }, ['3']],
    ['with an empty header, as a query', `&lastEventId=${second}`, { 'last-event-id': '' }, ['3']],
    ['and it wins over ?from', `&lastEventId=${second}&from=oldest`, {}, ['3']],
    ['not at all: it begins now', '', { 'last-event-id': '' }, []]
  ]
  for (const [how, query, headers, expected] of cases) {
    const client = await StreamClient.open(`${url}/events?user=alice${query}`, { headers })
    const { data } = await client.event('hub.welcome')
    t.same(dataOf(await client.count(expected.length)), expected, how)
    t.match(JSON.parse(data), { resumed: expected.length > 0, replayed: expected.length }, how)
    t.notOk(client.events.some(({ event }) => event === 'hub.gap'))
    client.cut()
  }
})

t.test('a stream that was cut again and again has neither a hole nor a duplicate', async (t) => {
  const host = await buildHub(t)
  const url = `${await host.listen()}/events?user=alice&from=oldest`
  const seen: string[] = []
  let lastEventId = ''
  let sent = 0
  for (let cut = 0; cut < 20; cut++) {
    const client = await StreamClient.open(url, { lastEventId })
    for (let burst = 0; burst < cut % 4; burst++) await host.app.sse.send('alice', { data: ++sent })
    if (cut % 2 === 0) await client.until(() => client.events.length > 0, 'anything')
    else await client.until(() => seen.length + client.published.length === sent, 'all events')
    seen.push(...dataOf(client.published))
    lastEventId = client.lastEventId
    client.cut()
    await host.app.sse.send('alice', { data: ++sent })
  }
  const last = await StreamClient.open(url, { lastEventId })
  await last.until(() => seen.length + last.published.length >= sent, 'the rest')
  t.same(
    [...seen, ...dataOf(last.published)],
    Array.from({ length: sent }, (_, index) => `${index + 1}`)
  )
})

t.test('a stream without a cursor may begin with all retained events, or the newest few', async (t) => {
  const host = await buildHub(t, {
    host: (app) =>
      app.get<{ Querystring: { from?: 'oldest'; last?: number } }>('/events', (request, reply) => {
        const { from, last } = request.query
        return app.sse.connect(request, reply, { from, last: last && Number(last) })
      })
  })
  const url = `${await host.listen()}/events?user=alice`
  await sendMany(host.app.sse, 'alice', 3)
  await host.app.sse.send('bob', { data: 'not for alice' })
  await host.app.sse.broadcast({ data: 'for all' })

  const all = await host.client(`${url}&from=oldest`)
  t.same(dataOf(await all.count(4)), ['1', '2', '3', 'for all'])
  const newest = await host.client(`${url}&last=2`)
  t.same(dataOf(await newest.count(2)), ['3', 'for all'])
  const more = await host.client(`${url}&last=100`)
  t.same(dataOf(await more.count(4)), ['1', '2', '3', 'for all'])
})

t.test('a cursor that the hub never wrote is reported as a gap, and all retained events follow', async (t) => {
  const [host, other] = [await buildHub(t), await buildHub(t)]
  const url = `${await host.listen()}/events?user=alice`
  const ids = await sendMany(host.app.sse, 'alice', 2)
  await host.app.sse.send('bob', { data: 'not for alice' })
  const [foreign = ''] = await sendMany(other.app.sse, 'alice', 1)
  const [seq, witness = ''] = (ids[1] ?? '').split('.')
  const cases: [string, string, string][] = [
    ['garbage', 'unknown', 'what?'],
    ['SQL', 'unknown', "1' OR 1=1; --"],
    ['a path', 'unknown', '../../etc/passwd'],
    ['a prototype', 'unknown', '__proto__'],
    ['a long text', 'unknown', 'z'.repeat(8_000)],
    ['a number beyond all', 'unknown', `zzzzzzzzzzz.${witness}`],
    ['one from the future', 'diverged', `zzzz.${witness}`],
    ['a forged entry', 'diverged', `${seq}.${witness.slice(0, -1)}${witness.endsWith('0') ? '1' : '0'}`],
    ['one of another hub', 'reset', foreign]
  ]
  for (const [what, reason, lastEventId] of cases) {
    const client = await StreamClient.open(url, { lastEventId })
    t.same(dataOf(await client.count(2)), ['1', '2'], what)
    t.same(
      client.events.map(({ event }) => event),
      ['hub.welcome', 'hub.gap', 'message', 'message'],
      `${what}: reported before anything later`
    )
    const gap = JSON.parse((await client.event('hub.gap')).data)
    t.match(gap, { oldest: ids[0], reason }, what)
    t.match(JSON.parse((await client.event('hub.welcome')).data), { resumed: false, replayed: 2 }, what)
    client.cut()
  }
})

t.test('bytes in a cursor that are not text do no harm', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  await sendMany(host.app.sse, 'alice', 1)
  for (const value of ['\xe9\xff\x80', 'é☃', '\t\ta', '0.']) {
    const raw = await RawSocket.stream(host.port, '/events?user=alice', `Last-Event-ID: ${value}\r\n`)
    await raw.until(() => raw.text.includes('data: 1\n'), 'the retained events')
    t.match(raw.parser.events[1], { event: 'hub.gap', data: /"reason":"unknown"/ })
    raw.socket.destroy()
  }
})

t.test('two Last-Event-ID headers are no cursor', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const [first, second] = await sendMany(host.app.sse, 'alice', 2)
  const doubled = `Last-Event-ID: ${first}\r\nLast-Event-ID: ${second}\r\n`
  const raw = await RawSocket.stream(host.port, '/events?user=alice', doubled)
  await raw.until(() => raw.text.includes('data: 2\n'), 'the retained events')
  t.match(raw.parser.events[1], { event: 'hub.gap', data: /"reason":"unknown"/ })
  t.same(dataOf(raw.parser.events.slice(2)), ['1', '2'])
})

t.test('a cursor older than the history is reported as a gap, and the retained events follow', async (t) => {
  const host = await buildHub(t, { hub: { retention: { user: 2 } } })
  const ids = await sendMany(host.app.sse, 'alice', 5)
  const client = await StreamClient.open(`${await host.listen()}/events?user=alice`, { lastEventId: ids[0] })
  t.same(dataOf(await client.count(2)), ['4', '5'])
  t.same(JSON.parse((await client.event('hub.gap')).data), { from: ids[0], oldest: ids[3], reason: 'evicted' })
})

t.test('a cursor of another user gives a position, but shows no event of that user', async (t) => {
  const host = await buildHub(t)
  const url = await host.listen()
  const [bobs] = await sendMany(host.app.sse, 'bob', 2)
  await host.app.sse.send('alice', { data: 'hers' })
  const client = await StreamClient.open(`${url}/events?user=alice`, { lastEventId: bobs })
  t.same(dataOf(await client.count(1)), ['hers'])
  t.same(
    client.events.map(({ event }) => event),
    ['hub.welcome', 'message']
  )
})

t.test('a position that the host names overrides the cursor of the client', async (t) => {
  const host = await buildHub(t, {
    host: (app) =>
      app.get<{ Querystring: { at: string } }>('/events', (request, reply) =>
        app.sse.connect(request, reply, { user: 'alice', lastEventId: request.query.at })
      )
  })
  const [first = '', second = ''] = await sendMany(host.app.sse, 'alice', 3)
  const client = await StreamClient.open(`${await host.listen()}/events?at=${first}`, { lastEventId: second })
  t.same(dataOf(await client.count(2)), ['2', '3'])
})

t.test('a stream ends before its identity expires, and may reconnect with a new one', async (t) => {
  const clock = new FakeClock()
  const expiresAt = clock.now() + 60_000
  const host = await buildHub(t, {
    hub: { clock, authenticate: (request) => ({ user: 'alice', expiresAt, ...userOfQuery(request) }) }
  })
  const client = await host.client(`${await host.listen()}/events`)

  clock.advance(50_000)
  t.equal(host.open, 1)
  clock.advance(10_000)
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"expired","reconnect":true}' })
  t.ok(client.parser.isAtBoundary)
  t.same(host.closed, ['expired'])
})

t.test('an identity that is good until 2099 does not overflow a timer', async (t) => {
  const host = await buildHub(t, {
    hub: { heartbeatInterval: 100, authenticate: () => ({ user: 'alice', expiresAt: LAST_OF_2099 }) }
  })
  const client = await host.client(`${await host.listen()}/events`)
  await client.until(
    () => client.events.filter(({ event }) => event === 'hub.heartbeat').length >= 3,
    'three heartbeats'
  )
  t.equal(host.open, 1)
})
