import t from 'tap'
import { buildRoutes, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'

failOnWarnings(t)

t.test('a subscriber reads the own history, a page at a time, and no other', async (t) => {
  const clock = new FakeClock({ wall: Date.UTC(2026, 0, 1) })
  const host = await buildRoutes(t, { hub: { clock } })
  const url = await host.listen()
  const ids: string[] = []
  for (let data = 1; data <= 3; data++) ids.push((await host.app.sse.send('alice', { data })).id)
  await host.app.sse.send('bob', { data: 'for bob' })
  await host.app.sse.publish('news', { data: 'of a topic' })
  const response = await fetch(`${url}/hub/me/events?user=alice&limit=2`)
  t.equal(response.status, 200)
  t.equal(response.headers.get('cache-control'), 'no-store')
  const first = (await response.json()) as { events: { id: string }[]; complete: boolean; cursor: string }
  t.same([first.events.map(({ id }) => id), first.complete], [ids.slice(0, 2), false])
  const rest = await fetch(`${url}/hub/me/events?user=alice&after=${first.cursor}`)
  t.match(await rest.json(), { events: [{ id: ids[2], data: '3', time: '2026-01-01T00:00:00.000Z' }], complete: true })
})

t.test('a caller without a user is 401, and one who cannot be identified now is 503', async (t) => {
  const clock = new FakeClock()
  let answer: () => unknown = () => undefined
  const host = await buildRoutes(t, { hub: { clock }, routes: { authenticate: () => answer() as undefined } })
  const ask = async () => {
    const response = await host.app.inject('/hub/me/events')
    return [response.statusCode, response.json().code]
  }
  t.same(await ask(), [401, 'SSE_HUB_ERR_UNAUTHENTICATED'])
  answer = () => ({ user: 7 })
  t.same(await ask(), [401, 'SSE_HUB_ERR_UNAUTHENTICATED'])
  answer = () => ({ user: 'alice', expiresAt: clock.now() })
  t.same(await ask(), [401, 'SSE_HUB_ERR_UNAUTHENTICATED'], 'the identity has expired')
  answer = () => {
    throw Object.assign(new Error('no'), { statusCode: 403 })
  }
  t.equal((await ask())[0], 403, 'a final error of the host is the answer')
  answer = () => {
    throw new Error('the session store is down')
  }
  const response = await host.app.inject('/hub/me/events')
  t.match(response.json(), { statusCode: 503, code: 'SSE_HUB_ERR_AUTHENTICATION_UNAVAILABLE' })
  t.equal(response.headers['retry-after'], '1')
})
