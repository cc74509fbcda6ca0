import t, { type Test } from 'tap'
import { buildRoutes, failOnWarnings, type HubHost } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const textsOf = (client: StreamClient): string[] => client.published.map(({ data }) => data)

/** Publishes over HTTP to the topic `task 1`. */
async function publish(t: Test, host: HubHost, draft: object): Promise<{ id: string }> {
  const response = await fetch(`${host.url}/hub/topics/task%201/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(draft)
  })
  t.equal(response.status, 202)
  return (await response.json()) as { id: string }
}

t.test('a task is followed to its end over HTTP, resumed in the middle, and not begun anew', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=alice&follow=task%201`
  await publish(t, host, { data: '1' })
  const first = await host.client(url)
  await first.count(1)
  await host.app.sse.send('alice', { data: 'of no concern to the task' })
  await host.app.sse.broadcast({ data: 'neither' })
  await publish(t, host, { data: '2' })
  await first.count(2)
  t.same(textsOf(first), ['1', '2'])
  first.cut()
  await publish(t, host, { data: '3' })
  const second = await host.client(url, { lastEventId: first.lastEventId })
  await publish(t, host, { data: '4', final: true })
  await second.end()
  t.same(textsOf(second), ['3', '4'])
  t.equal(second.events.at(-1)?.data, '{"reason":"finished","reconnect":false}')
  const third = await StreamClient.open(url, { lastEventId: second.lastEventId })
  t.equal(third.status, 204)
  const late = await StreamClient.open(url)
  await late.end()
  t.same(textsOf(late), ['1', '2', '3', '4'])
})

t.test('a task that fails ends its followers for good, with the reason "failed"', async (t) => {
  const host = await buildRoutes(t)
  const url = `${await host.listen()}/hub/events?user=alice&follow=task%201`
  const live = await host.client(url)
  const { id } = await publish(t, host, { event: 'failure', data: { why: 'the disk is full' }, fail: true })
  const late = await StreamClient.open(url)
  for (const client of [live, late]) {
    await client.end()
    t.match(client.events.at(-2), { event: 'failure', data: '{"why":"the disk is full"}', id })
    t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"failed","reconnect":false}' })
  }
  t.equal((await StreamClient.open(url, { lastEventId: live.lastEventId })).status, 204)
  const cut = await StreamClient.open(url, { lastEventId: id })
  await cut.end()
  t.same(textsOf(cut), [])
  t.match(cut.events.at(-1), { data: '{"reason":"failed","reconnect":false}' }, 'also for a client that was cut before')
})

t.test('authorizeTopic decides who follows a topic, unless authenticate has granted it', async (t) => {
  const asked: string[] = []
  const host = await buildRoutes(t, {
    routes: {
      authenticate: (request) => {
        const { user } = request.query as { user?: string }
        return user === undefined ? undefined : { user, topics: ['granted'] }
      },
      authorizeTopic: (_identity, topic) => {
        asked.push(topic)
        return topic === 'allowed'
      }
    }
  })
  const url = `${await host.listen()}/hub/events`
  const status = async (query: string) => {
    const client = await StreamClient.open(`${url}?${query}`)
    client.cut()
    return client.status
  }
  t.equal(await status('user=alice&follow=allowed'), 200)
  t.equal(await status('user=alice&follow=other'), 403)
  t.equal(await status('user=alice&follow=granted'), 200)
  t.equal(await status('follow=allowed'), 401)
  t.same(asked, ['allowed', 'other'])
})

t.test('one topic is followed, from its beginning', async (t) => {
  const { app } = await buildRoutes(t)
  for (const more of ['&topics=b', '&from=oldest', '&last=2']) {
    const response = await app.inject(`/hub/events?user=alice&follow=a${more}`)
    t.match(response.json(), {
      statusCode: 400,
      code: 'SSE_HUB_ERR_INVALID_REQUEST',
      message: /^follow takes one topic/
    })
  }
  for (const follow of ['follow=', 'follow=a&follow=b', `follow=${'x'.repeat(257)}`]) {
    const response = await app.inject(`/hub/events?user=alice&${follow}`)
    t.match(response.json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_REQUEST' }, follow)
  }
  const response = await app.inject(`/hub/events?user=alice&follow=a%00`)
  t.match(response.json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_TOPIC' })
})

t.test('a stream that follows ends when its identity expires, and returns', async (t) => {
  const clock = new FakeClock()
  const expiresAt = clock.now() + 60_000
  const host = await buildRoutes(t, {
    hub: { clock },
    routes: { authenticate: () => ({ user: 'alice', expiresAt }) }
  })
  const url = `${await host.listen()}/hub/events?follow=a`
  const client = await host.client(url)
  clock.advance(60_000)
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"expired","reconnect":true}' })
  t.equal((await StreamClient.open(url)).status, 401)
})
