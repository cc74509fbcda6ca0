import { setMaxListeners } from 'node:events'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Authenticate, AuthorizeTopic, StreamIdentity } from '../../plugins/sse-hub.ts'
import type { Authorize } from '../../routes/guard.ts'
import { buildHub, buildRoutes, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)
setMaxListeners(50)

const fail = () => {
  throw new Error('a mistake of the host')
}
const events = '/hub/events?user=alice&topics=news'

/** Mistakes in a function of the host. */
const MISTAKES: Record<string, () => never> = {
  'throws an error': fail,
  'throws text': () => {
    throw 'text'
  },
  'throws nothing': () => {
    throw undefined
  },
  rejects: () => Promise.reject(new Error('later')) as never,
  'rejects with nothing': () => Promise.reject(undefined) as never,
  'rejects in another realm': () => runInNewContext("Promise.reject(new Error('elsewhere'))") as never,
  'is a thenable that throws': () =>
    // biome-ignore lint/suspicious/noThenProperty: a thenable is under test
    ({ then: fail }) as never
}

for (const [what, mistake] of Object.entries(MISTAKES)) {
  t.test(`a host whose function ${what} fails only that one request`, async (t) => {
    let isWrong = false
    const authenticate: Authenticate = () => (isWrong ? mistake() : { user: 'alice' })
    const authorizeTopic: AuthorizeTopic = () => (isWrong ? mistake() : true)
    const authorize: Authorize = () => (isWrong ? mistake() : true)
    const host = await buildRoutes(t, {
      hub: { authenticate, authorizeTopic },
      routes: { authorize, authorizeTopic }
    })
    const url = await host.listen()
    const healthy = await host.client(url + events)
    isWrong = true
    const later = await StreamClient.open(url + events)
    t.equal(later.status, 200, 'an event source that meets it comes back later')
    await later.end()
    t.match(later.events.at(-1), { event: 'hub.close', data: '{"reason":"error","reconnect":true}' })
    const refused = await host.app.inject({ method: 'POST', url: '/hub/broadcast', payload: { data: 'never' } })
    t.ok([403, 500].includes(refused.statusCode), `${refused.statusCode}`)
    t.equal(host.app.sse.stats().published, 0)
    isWrong = false
    const sent = await host.app.inject({ method: 'POST', url: '/hub/broadcast', payload: { data: 'sent' } })
    t.equal(sent.statusCode, 202)
    await healthy.count(1)
    t.same(host.closed, [])
  })
}

t.test('listeners of the host that fail, in any way, change nothing for the streams', async (t) => {
  const host = await buildHub(t)
  const url = await host.listen()
  for (const mistake of Object.values(MISTAKES))
    for (const name of ['open', 'close', 'undelivered'] as const) host.app.sse.on(name, mistake)
  for (let round = 1; round <= 3; round++) {
    const client = await host.client(`${url}/events?user=alice`)
    await host.app.sse.send(['alice', 'away'], { data: round })
    await client.count(1)
    client.cut()
    await host.untilClosed(round)
  }
  t.equal(host.open, 0)
})

t.test('a thousand clients that disconnect while the host hangs leave nothing behind', async (t) => {
  const clock = new FakeClock()
  const host = await buildHub(t, { hub: { clock, authenticate: () => new Promise<StreamIdentity>(() => {}) } })
  const url = await host.listen()
  let calls = 0
  const timers = clock.timers
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const abort = new AbortController()
        const before = calls++
        const asking = fetch(`${url}/events?user=u${before}`, { signal: abort.signal }).catch(() => {})
        while (clock.timers <= timers + (before % 100)) await new Promise((resolve) => setImmediate(resolve))
        abort.abort()
        await asking
      })
    )
    clock.advance(6_000)
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve))
    t.equal(clock.timers, timers)
  }
  t.match(host.app.sse.stats(), { streams: 0, opened: 0 })
})

t.test('an identity with throwing getters is no identity, or an error of that one request', async (t) => {
  const traps: unknown[] = [
    new Proxy({}, { get: fail }),
    Object.defineProperty({}, 'user', { get: fail }),
    Object.defineProperty({ user: 'alice' }, 'topics', { get: fail }),
    { user: { toString: () => 'alice' } },
    { user: 'alice', topics: { length: 1e9 } },
    { user: 'alice', topics: Array.from({ length: 100_000 }, (_, at) => `${at}`) },
    { user: 'alice', expiresAt: { valueOf: fail } },
    Object.create({ user: 'alice' })
  ]
  let trap: unknown
  const host = await buildHub(t, { hub: { authenticate: () => trap as StreamIdentity } })
  const url = await host.listen()
  for (trap of traps.slice(0, -1)) {
    const client = await StreamClient.open(`${url}/events`)
    await client.end()
    if (client.status === 200) t.equal(client.events.at(-1)?.data, '{"reason":"error","reconnect":true}')
    else t.ok([400, 401, 500].includes(client.status), `${client.status}`)
  }
  trap = { user: 'alice' }
  const client = await host.client(`${url}/events`)
  await host.app.sse.send('alice', { data: 1 })
  await client.count(1)
  t.match(host.app.sse.stats(), { opened: 1, streams: 1 })
})

t.test('data with hostile getters is refused, and no part of it is published', async (t) => {
  const host = await buildHub(t)
  const client = await host.client(`${await host.listen()}/events?user=alice`)
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const fighting: unknown[] = [
    ...[
      undefined,
      fail,
      Symbol('x'),
      5n,
      cycle,
      revoked.proxy,
      { toJSON: fail },
      {
        get x() {
          return fail()
        }
      }
    ],
    ...[
      { toJSON: () => undefined },
      [[{ deep: 5n }]],
      '\ud800',
      'x'.repeat(70_000),
      { toJSON: () => 'x'.repeat(70_000) }
    ]
  ]
  for (const data of fighting) {
    await t.rejects(host.app.sse.broadcast({ data }), { code: /^SSE_HUB_ERR_(INVALID_DATA|EVENT_TOO_LARGE)$/ })
    await t.rejects(
      host.app.sse.publishBatch([
        { to: { everyone: true }, data: 1 },
        { to: { everyone: true }, data }
      ])
    )
  }
  t.equal(host.app.sse.stats().published, 0)
  const data = { now: 'this' }
  const sent = host.app.sse.broadcast({ data })
  data.now = 'changed'
  await sent
  t.equal((await client.count(1))[0]?.data, '{"now":"this"}')
})
