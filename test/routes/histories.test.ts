import t from 'tap'
import { buildRoutes, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

t.test('the histories of a topic and of everyone are read a page at a time', async (t) => {
  const clock = new FakeClock({ wall: Date.UTC(2026, 0, 1) })
  const { app } = await buildRoutes(t, { hub: { clock } })
  const publishing: Record<string, (data: number) => Promise<{ id: string }>> = {
    '/topics/a%20b/events': (data) => app.sse.publish('a b', { event: 'n', data }),
    '/broadcast': (data) => app.sse.broadcast({ event: 'n', data })
  }
  for (const [path, publish] of Object.entries(publishing)) {
    const ids: string[] = []
    for (let data = 1; data <= 5; data++) ids.push((await publish(data)).id)
    await app.sse.send('alice', { data: 'of another history' })
    const all = await app.inject(`/hub${path}`)
    t.equal(all.statusCode, 200)
    t.same(
      all.json().events,
      ids.map((id, index) => ({ id, event: 'n', data: `${index + 1}`, time: '2026-01-01T00:00:00.000Z' }))
    )
    t.equal(all.json().complete, true)
    const first = (await app.inject(`/hub${path}?limit=3`)).json()
    t.same([first.events.length, first.complete, first.cursor], [3, false, ids[2]])
    const rest = (await app.inject(`/hub${path}?after=${first.cursor}`)).json()
    t.same(
      rest.events.map(({ id }: { id: string }) => id),
      ids.slice(3)
    )
  }
})

t.test('a topic without events has an empty history, and an invalid name is 400', async (t) => {
  const { app } = await buildRoutes(t)
  t.match((await app.inject('/hub/topics/nothing/events')).json(), { events: [], complete: true })
  t.match((await app.inject('/hub/topics/a%00b/events')).json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_TOPIC' })
})

t.test('a page that is rendered with the cursor misses nothing until its stream is open', async (t) => {
  const host = await buildRoutes(t)
  const url = await host.listen()
  await host.app.sse.send('alice', { data: 'on the page' })
  const response = await fetch(`${url}/hub/cursor`)
  t.equal(response.headers.get('cache-control'), 'no-store')
  const { cursor } = (await response.json()) as { cursor: string }
  t.equal(cursor, host.app.sse.cursor())
  await host.app.sse.send('alice', { data: 'meanwhile' })
  const client = await StreamClient.open(`${url}/hub/events?user=alice&lastEventId=${cursor}`)
  await client.count(1)
  await host.app.sse.send('alice', { data: 'later' })
  t.same(
    (await client.count(2)).map(({ data }) => data),
    ['meanwhile', 'later']
  )
})
