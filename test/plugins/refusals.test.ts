import t from 'tap'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 1e9))
t.comment(`TEST_SEED=${seed}`)

/** Whether the response is a retryable rejection: a reconnection time, the reason, and the end. */
function isRetryableRejection(client: StreamClient, reason: string, min: number, max: number): boolean {
  const { reconnectionTime = -1, events, isAtBoundary } = client.parser
  const [only] = events
  return (
    client.status === 200 &&
    client.response.headers['content-type'] === 'text/event-stream' &&
    reconnectionTime >= min &&
    reconnectionTime <= max &&
    events.length === 1 &&
    only?.event === 'hub.close' &&
    only.data === JSON.stringify({ reason, reconnect: true }) &&
    only.id === undefined &&
    isAtBoundary
  )
}

t.test(
  'a stream beyond a limit gets a retryable rejection, with a status that keeps an event source alive',
  async (t) => {
    const limits: [string, object, string, string][] = [
      ['in all', { maxStreams: 2 }, 'bob', 'carol'],
      ['from one address', { maxStreamsPerAddress: 2 }, 'bob', 'carol'],
      ['of one user', { maxStreamsPerUser: 2, onUserLimit: 'reject' }, 'alice', 'alice']
    ]
    for (const [what, hub, second, third] of limits) {
      const host = await buildHub(t, { hub: { ...hub, clock: new FakeClock({ seed }) } })
      const url = `${await host.listen()}/events?user=`
      const first = await host.client(`${url}alice`)
      await host.client(url + second)

      const times = new Set<number | undefined>()
      for (let attempt = 0; attempt < 5; attempt++) {
        const refused = await StreamClient.open(url + third)
        await refused.end()
        t.ok(isRetryableRejection(refused, 'limit', 5_000, 30_000), `${what}: ${refused.text}`)
        times.add(refused.parser.reconnectionTime)
      }
      t.ok(times.size > 1, `${what}: the reconnection times are jittered`)
      t.match(host.app.sse.stats(), { streams: 2, opened: 2, closed: { limit: 0 }, refused: { limit: 5 } }, what)

      first.cut()
      await host.untilClosed(1)
      t.equal((await host.client(url + third)).status, 200, `${what}: there is room again`)
    }
  }
)

t.test('streams of one IPv6 /64 count as one address, however the address is written', async (t) => {
  const host = await buildHub(t, { hub: { maxStreamsPerAddress: 2 }, server: { trustProxy: true } })
  const url = `${await host.listen()}/events?user=`
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
  for (const [user, address] of Object.entries({ a: '2001:db8::1', b: '2001:DB8:0:0::ffff' }))
    await host.client(url + user, from(address))
  for (const address of ['2001:db8::1', '2001:0db8::2', '2001:db8:0:0:1::']) {
    const refused = await StreamClient.open(`${url}c`, from(address))
    await refused.end()
    t.ok(isRetryableRejection(refused, 'limit', 5_000, 30_000), address)
  }
  await host.client(`${url}d`, from('2001:db8:0:1::1'))
  await host.client(`${url}e`, from('192.0.2.1'))
  await host.client(`${url}f`, from('::ffff:192.0.2.1'))
  const refused = await StreamClient.open(`${url}g`, from('::ffff:c000:201'))
  await refused.end()
  t.equal(refused.events.length, 1, 'a mapped address is the IPv4 address')
})

t.test('a stream beyond the limit of its user replaces the oldest, which is closed for good', async (t) => {
  const host = await buildHub(t, { hub: { maxStreamsPerUser: 2 } })
  const url = `${await host.listen()}/events?user=`
  const [oldest, bob] = [await host.client(`${url}alice`), await host.client(`${url}bob`)]
  const second = await host.client(`${url}alice`)
  await host.app.sse.send('alice', { data: 'before' })
  await oldest.count(1)
  const third = await host.client(`${url}alice`)

  await oldest.end()
  t.match(oldest.events.at(-1), {
    event: 'hub.close',
    data: '{"reason":"replaced","reconnect":false}',
    id: /^[0-9a-z.]{1,28}\.end$/
  })
  t.ok(oldest.parser.isAtBoundary)
  t.match(host.app.sse.stats(), { streams: 3, closed: { replaced: 1 }, refused: { limit: 0 } })

  await host.app.sse.send('alice', { data: 'after' })
  await second.count(2)
  await third.count(1)
  t.equal(bob.published.length, 0)

  const back = await StreamClient.open(`${url}alice`, { lastEventId: oldest.lastEventId })
  await back.end()
  t.equal(back.status, 204, 'the replaced tab does not replace another in turn')
  t.equal(host.open, 3)
})

t.test('an event source that was closed for good and reconnects is answered 204', async (t) => {
  const host = await buildHub(t, {
    host: (app) => {
      app.addHook('onRequest', async (_request, reply) => {
        reply.header('access-control-allow-origin', 'https://app.example')
      })
      app.get('/events', (request, reply) => app.sse.connect(request, reply))
      app.get('/fixed', (request, reply) => app.sse.connect(request, reply, { user: 'alice', lastEventId: '' }))
      app.get('/task', (request, reply) => app.sse.follow(request, reply, 'task'))
    }
  })
  const url = await host.listen()
  const kicked = await host.client(`${url}/events?user=alice`)
  t.equal(await host.app.sse.disconnect('alice'), 1)
  const finished = await host.client(`${url}/task`)
  await host.app.sse.publish('task', { data: 'done', final: true })

  const cases: [string, StreamClient][] = [
    ['/events?user=alice', kicked],
    ['/task', finished]
  ]
  for (const [path, client] of cases) {
    await client.end()
    const { lastEventId } = client
    t.match(client.events.at(-1), { event: 'hub.close', data: /"reconnect":false/ })
    const query = path.includes('?') ? '&' : '?'
    for (const [address, options] of [
      [url + path, { lastEventId }],
      [`${url}${path}${query}lastEventId=${lastEventId}`, {}],
      [`${url}/fixed`, { lastEventId }]
    ] as const) {
      const back = await StreamClient.open(address, options)
      await back.end()
      t.equal(back.status, 204, address)
      t.equal(back.text, '')
      t.notOk(back.response.headers['content-type'])
      t.equal(back.response.headers['access-control-allow-origin'], 'https://app.example')
    }
  }
  t.match(host.app.sse.stats(), { streams: 0, opened: 2, closed: { kicked: 1, finished: 1 } })
  t.equal((await host.client(`${url}/events?user=alice`)).status, 200, 'a new event source is accepted')
})

t.test('the 204 needs an identity like any other answer', async (t) => {
  const { app } = await buildHub(t)
  const response = await app.inject({ url: '/events', headers: { 'last-event-id': '0.end' } })
  t.equal(response.statusCode, 401)
})

t.test('a stream that is closed for now reconnects and misses nothing', async (t) => {
  const host = await buildHub(t)
  const url = `${await host.listen()}/events?user=alice`
  const client = await host.client(url)
  await host.app.sse.send('alice', { data: 1 })
  await client.count(1)
  t.equal(await host.app.sse.disconnect('alice', { reconnect: true }), 1)
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"kicked","reconnect":true}', id: undefined })
  await host.app.sse.send('alice', { data: 2 })
  const back = await StreamClient.open(url, { lastEventId: client.lastEventId })
  t.same(
    (await back.count(1)).map(({ data }) => data),
    ['2']
  )
})

t.test('a request for a stream while the hub closes gets a retryable rejection', async (t) => {
  let answer = () => {}
  let ask = () => {}
  const asked = new Promise<void>((resolve) => {
    ask = resolve
  })
  const authenticate = async () => {
    ask()
    await new Promise<void>((resolve) => {
      answer = resolve
    })
    return { user: 'alice' }
  }
  const host = await buildHub(t, { hub: { authenticate, reconnectionTime: 1_000 } })
  const opening = StreamClient.open(`${await host.listen()}/events`)
  await asked
  const closing = host.app.close()
  await host.app.sse.drain()
  answer()
  const client = await opening
  await client.end()
  t.ok(isRetryableRejection(client, 'shutdown', 500, 1_500), client.text)
  await closing
})

t.test('an unread rejection does not keep the server open', async (t) => {
  const host = await buildHub(t, { hub: { maxStreams: 1 } })
  const url = `${await host.listen()}/events?user=`
  await host.client(`${url}alice`)
  const refused = await StreamClient.open(`${url}bob`)
  refused.pause()
  await host.app.close()
  t.equal(host.app.server.listening, false)
  refused.resume()
  await refused.end()
  t.match(refused.text, '"reason":"limit"')
})
