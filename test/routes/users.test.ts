import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import type { HubAction } from '../../services/access/action.ts'
import { buildRoutes, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/test-node.ts'

failOnWarnings(t)

t.test('the presence of a user lists the open streams of that user', async (t) => {
  const clock = new FakeClock({ wall: Date.UTC(2026, 0, 2, 3, 4, 5) })
  const host = await buildRoutes(t, { hub: { clock } })
  const url = `${await host.listen()}/hub/events?user=`
  await host.client(`${url}alice&topics=news,sport`)
  await host.client(`${url}alice`)
  const [first, second] = host.streams.map(({ id }) => id)
  t.same((await host.app.inject('/hub/users/alice')).json(), {
    user: 'alice',
    online: true,
    streams: [
      { id: first, since: '2026-01-02T03:04:05.000Z', topics: ['news', 'sport'] },
      { id: second, since: '2026-01-02T03:04:05.000Z', topics: [] }
    ]
  })
  const nobody = await host.app.inject('/hub/users/nobody')
  t.equal(nobody.statusCode, 200)
  t.same(nobody.json(), { user: 'nobody', online: false, streams: [] })
})

t.test('an operator sees how each stream of a user keeps up, and from where it comes', async (t) => {
  let mayClose = true
  const authorize = (_request: unknown, { verb }: HubAction) => verb !== 'close' || mayClose
  const host = await buildRoutes(t, { server: { trustProxy: true }, routes: { authorize } })
  await host.listen()
  const inspect = async () =>
    ((await host.app.inject('/hub/users/alice/streams')).json() as { streams: Record<string, unknown>[] }).streams
  t.same(await inspect(), [])

  const url = `${host.url}/hub/events?user=alice`
  await host.client(`${url}&topics=news`)
  await host.client(url, { headers: { 'x-forwarded-for': `203.0.113.7` } })
  const [near, far] = await inspect()
  const live = { state: 'live', behind: 0, unsent: 0 }
  t.match(near, { id: host.streams[0]?.id, topics: ['news'], ...live, address: '127.0.0.1' })
  t.match(far, { id: host.streams[1]?.id, topics: [], ...live, address: '203.0.113.7' })
  mayClose = false
  t.match(await inspect(), [live, live])
  t.notOk(
    (await inspect()).some((stream) => 'address' in stream),
    'a reader sees no addresses'
  )
  mayClose = true

  const slow = connect(host.port, '127.0.0.1')
  t.teardown(() => slow.destroy())
  slow.write('GET /hub/events?user=alice HTTP/1.1\r\nHost: hub\r\n\r\n')
  await once(slow, 'readable')
  // Nothing is read from here on, so its socket becomes full.
  const data = 'x'.repeat(60_000)
  await until(
    async () => {
      await host.app.sse.send('alice', { data })
      return (await inspect())[2]
    },
    (stream) => stream?.state === 'replaying' && Number(stream.behind) > 0 && Number(stream.unsent) > 0,
    'a stream that is behind'
  )
})

t.test('online users are listed in the order of names, a page at a time', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=`
  const names = ['dave', 'alice', 'carol', 'bob', 'alice', '😀']
  await Promise.all(names.map((name) => host.client(url + encodeURIComponent(name))))

  const seen: { user: string; streams: number }[] = []
  let pages = 0
  for (let after: string | null = ''; after !== null; pages++) {
    const { users, next }: { users: typeof seen; next: string | null } = (
      await host.app.inject(`/hub/users?limit=2&after=${encodeURIComponent(after)}`)
    ).json()
    t.ok(users.length <= 2)
    seen.push(...users)
    after = next
  }
  t.equal(pages, 3)
  t.same(seen, [
    { user: 'alice', streams: 2 },
    { user: 'bob', streams: 1 },
    { user: 'carol', streams: 1 },
    { user: 'dave', streams: 1 },
    { user: '😀', streams: 1 }
  ])
  t.same(
    (await host.app.inject('/hub/users')).json(),
    { users: seen, next: null },
    'the default page has a hundred users'
  )
})

t.test('history is read a page at a time, and its cursor opens a stream where it ends', async (t) => {
  const clock = new FakeClock({ wall: Date.UTC(2026, 0, 1) })
  const host = await buildRoutes(t, { hub: { clock } })
  const url = await host.listen()
  const ids: (string | null)[] = []
  for (let data = 1; data <= 5; data++) ids.push((await host.app.sse.send('alice', { event: 'n', data: { data } })).id)
  await host.app.sse.send('bob', { data: 'not hers' })

  const all = (await host.app.inject('/hub/users/alice/events')).json()
  t.match(all, { complete: true })
  t.same(
    all.events,
    ids.map((id, index) => ({ id, event: 'n', data: `{"data":${index + 1}}`, time: '2026-01-01T00:00:00.000Z' }))
  )

  const seen: string[] = []
  let page = { events: [] as { id: string }[], complete: false, cursor: '' }
  let pages = 0
  for (; !page.complete; pages++) {
    page = (await host.app.inject(`/hub/users/alice/events?limit=2&after=${page.cursor}`)).json()
    seen.push(...page.events.map(({ id }) => id))
  }
  t.equal(pages, 3)
  t.same(seen, ids)

  const client = await StreamClient.open(`${url}/hub/events?user=alice&lastEventId=${page.cursor}`)
  await client.event('hub.welcome')
  await host.app.sse.send('alice', { data: 6 })
  t.same(
    (await client.count(1)).map(({ data }) => data),
    ['6'],
    'neither a hole nor a duplicate'
  )
})

t.test('a history with a hole is marked incomplete', async (t) => {
  const host = await buildRoutes(t, { hub: { retention: { user: 2 } } })
  const ids: (string | null)[] = []
  for (let data = 1; data <= 4; data++) ids.push((await host.app.sse.send('alice', { data })).id)
  const after = async (cursor: string | null) =>
    (await host.app.inject(`/hub/users/alice/events?after=${cursor}`)).json()
  for (const [cursor, complete] of [
    [ids[0], false],
    [ids[1], true],
    ['what?', false],
    ['0.aaaaaaaaaaaaaa', false]
  ] as const) {
    const page = await after(cursor ?? '')
    t.equal(page.complete, complete, `after ${cursor}`)
    t.same(
      page.events.map(({ data }: { data: string }) => data),
      ['3', '4'],
      `after ${cursor}`
    )
  }
  t.match(await after(ids[3] ?? ''), { events: [], complete: true })
})

t.test('an empty history is complete', async (t) => {
  const { app } = await buildRoutes(t)
  for (const query of ['', '?after=', '?limit=1']) {
    const page = (await app.inject(`/hub/users/nobody/events${query}`)).json()
    t.match(page, { events: [], complete: true, cursor: /.+/ }, query)
  }
})

t.test('pages have bounds, and invalid or misspelled parameters are refused', async (t) => {
  const { app } = await buildRoutes(t)
  for (const route of ['/users', '/users/alice/events', '/topics/news/events', '/broadcast']) {
    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=-1',
      'limit=many',
      'limit=',
      'Limit=5',
      `after=${'x'.repeat(257)}`
    ]) {
      const response = await app.inject(`/hub${route}?${query}`)
      t.match(
        response.json(),
        {
          statusCode: 400,
          code: 'SSE_HUB_ERR_INVALID_REQUEST',
          error: 'Bad Request',
          message: /^querystring\/[a-zA-Z]+: /
        },
        `${route}?${query}`
      )
    }
    t.equal((await app.inject(`/hub${route}?limit=1000`)).statusCode, 200)
  }
})

t.test('closing a user closes all streams of that user for good, and no other', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=`
  const [one, two, bob] = await Promise.all(['alice', 'alice', 'bob'].map((user) => host.client(url + user)))
  const response = await host.app.inject({ method: 'DELETE', url: '/hub/users/alice/streams' })
  t.equal(response.statusCode, 200)
  t.same(response.json(), { closed: 2 })
  for (const tab of [one, two]) {
    await tab?.end()
    t.match(tab?.events.at(-1), { event: 'hub.close', data: '{"reason":"kicked","reconnect":false}' })
    const back = await StreamClient.open(`${url}alice`, { lastEventId: tab?.lastEventId })
    t.equal(back.status, 204)
  }
  t.equal(bob?.isEnded, false)
  t.same((await host.app.inject({ method: 'DELETE', url: '/hub/users/alice/streams' })).json(), { closed: 0 })
})

t.test('closing one stream by its id does not close the other streams of the user', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=alice`
  const [one, two] = [await host.client(url), await host.client(url)]
  const { stream } = JSON.parse((await one.event('hub.welcome')).data)
  const close = (query: string) => host.app.inject({ method: 'DELETE', url: `/hub/streams/${stream}${query}` })
  t.same((await close('?reconnect=true')).json(), { closed: 1 })
  await one.end()
  t.match(one.events.at(-1), { data: '{"reason":"kicked","reconnect":true}' })
  t.equal((await StreamClient.open(url, { lastEventId: one.lastEventId })).status, 200, 'it may reconnect')
  t.equal(two.isEnded, false)
  t.same((await close('')).json(), { closed: 0 })
  t.equal((await host.app.inject({ method: 'DELETE', url: `/hub/streams/${'x'.repeat(65)}` })).statusCode, 400)
})

t.test('the parameter reconnect is true or false', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=alice`
  for (const [query, reconnect] of [
    ['', false],
    ['?reconnect=false', false],
    ['?reconnect=true', true]
  ] as const) {
    const client = await host.client(url)
    await host.app.inject({ method: 'DELETE', url: `/hub/users/alice/streams${query}` })
    await client.end()
    t.equal(JSON.parse(client.events.at(-1)?.data ?? '').reconnect, reconnect, query)
  }
  for (const query of ['?reconnect=perhaps', '?reconect=true']) {
    const response = await host.app.inject({ method: 'DELETE', url: `/hub/users/alice/streams${query}` })
    t.match(response.json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_REQUEST' }, query)
  }
})

t.test('a DELETE with a JSON content type and no body is accepted', async (t) => {
  const host = await buildRoutes(t)
  const url = await host.listen()
  const types = ['application/json', 'application/json; charset=utf-8']
  const noChunk = () => new ReadableStream({ start: (controller) => controller.close() })
  const bodies: [string, () => RequestInit & { duplex?: 'half' }][] = [
    ['no body', () => ({})],
    ['a length of 0', () => ({ body: '' })],
    ['no chunk', () => ({ body: noChunk(), duplex: 'half' })]
  ]
  for (const type of types) {
    for (const [how, bodyOf] of bodies) {
      const client = await host.client(`${url}/hub/events?user=alice`)
      const headers = { 'content-type': type }
      const response = await fetch(`${url}/hub/users/alice/streams`, { method: 'DELETE', headers, ...bodyOf() })
      t.same([response.status, await response.json()], [200, { closed: 1 }], `${type}, ${how}`)
      await client.end()
    }
  }
  const wrong = await fetch(`${url}/hub/users/alice/streams`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json' },
    body: '{'
  })
  t.equal(wrong.status, 400, 'a body that is there is read')
})
