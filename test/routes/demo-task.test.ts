import t, { type Test } from 'tap'
import { demoTask } from '../../routes/demo-task.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { buildHub, buildRoutes, failOnWarnings, type HubHost } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

/** Fast, but slow enough to be cut in the middle. */
const STEP = 20

const build = (test: Test, hub = {}, demoStep = STEP): Promise<HubHost> =>
  buildHub(test, {
    hub,
    host: async (app) => {
      await app.register(hubRoutes, { prefix: '/hub', authorize: () => true })
      await app.register(demoTask, { prefix: '/hub', step: demoStep })
    }
  })

const stepsOf = (client: StreamClient) =>
  client.published.filter(({ event }) => event === 'progress').map(({ data }) => JSON.parse(data).step as number)

t.test('a stream follows a task to its end, and is then closed for good', async (t) => {
  const host = await build(t)
  const client = await StreamClient.open(`${await host.listen()}/hub/tasks/demo?steps=3`)
  await client.end()
  t.same(client.events.map(({ event, data }) => [event, data]).slice(1), [
    ['progress', '{"step":0,"steps":3}'],
    ['progress', '{"step":1,"steps":3}'],
    ['progress', '{"step":2,"steps":3}'],
    ['progress', '{"step":3,"steps":3}'],
    ['done', '[DONE]'],
    ['hub.close', '{"reason":"finished","reconnect":false}']
  ])
  t.ok(client.parser.isAtBoundary)
  const back = await StreamClient.open(`${host.url}/hub/tasks/demo?steps=3`, { lastEventId: client.lastEventId })
  t.equal(back.status, 204)
  t.match(host.app.sse.stats(), { streams: 0, opened: 1, closed: { finished: 1 } })
})

t.test('a client that is cut in the middle of a task resumes in the middle, by its last event ID alone', async (t) => {
  const host = await build(t)
  const url = `${await host.listen()}/hub/tasks/demo`
  const first = await StreamClient.open(`${url}?steps=5`)
  await first.until(() => stepsOf(first).includes(2), 'the second step')
  first.cut()
  const { lastEventId } = first
  const seen = stepsOf(first)

  for (const [how, address, options] of [
    ['header', `${url}?steps=5`, { lastEventId }],
    ['query', `${url}?steps=5&lastEventId=${lastEventId}`, { headers: { 'last-event-id': '' } }],
    ['snake', `${url}?steps=5&last_event_id=${lastEventId}`, {}],
    ['shout', `${url}?steps=5&Last-Event-ID=${lastEventId}`, {}]
  ] as const) {
    const second = await StreamClient.open(address, options)
    await second.end()
    t.same([...seen, ...stepsOf(second)], [0, 1, 2, 3, 4, 5], how)
    t.match(second.events.at(-1), { event: 'hub.close', data: /"finished"/ })
    t.notOk(second.events.some(({ event }) => event === 'hub.gap'))
  }
})

t.test('a client resumes its own task while other tasks run', async (t) => {
  const clock = new FakeClock()
  const host = await build(t, { clock, heartbeatInterval: 1_000 }, 60_000)
  const url = `${await host.listen()}/hub/tasks/demo?steps=`
  const other = await StreamClient.open(`${url}1`)
  await other.count(1)
  const mine = await StreamClient.open(`${url}2`)
  await mine.count(1)
  const third = await StreamClient.open(`${url}3`)
  await third.count(1)
  await host.app.sse.broadcast({ data: 'moves the head' })
  clock.advance(1_100)
  await mine.event('hub.heartbeat')
  mine.cut()

  const back = await StreamClient.open(`${url}2`, { lastEventId: mine.lastEventId })
  await back.event('hub.welcome')
  await host.untilOpened(4)
  t.same(host.streams[3]?.topics, host.streams[1]?.topics, 'the same task')
  t.not(host.streams[0]?.topics[0], host.streams[1]?.topics[0])
})

t.test('a client that was cut before its first event begins a new task', async (t) => {
  const host = await build(t)
  const client = await StreamClient.open(`${await host.listen()}/hub/tasks/demo?steps=1`, {
    lastEventId: 'nothing-known'
  })
  await client.end()
  t.same(stepsOf(client), [0, 1])
})

t.test('a task has 1 to 600 steps', async (t) => {
  const host = await build(t)
  for (const query of ['steps=0', 'steps=601', 'steps=many', 'stepps=3']) {
    const response = await host.app.inject(`/hub/tasks/demo?${query}`)
    t.match(response.json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_REQUEST', message: /^querystring\/step/ })
  }
})

t.test('the number of tasks is bounded; a request for one more gets a retryable rejection', async (t) => {
  const host = await build(t, {}, 60_000)
  const url = `${await host.listen()}/hub/tasks/demo`
  const running = await Promise.all(Array.from({ length: 100 }, () => StreamClient.open(url)))
  await Promise.all(running.map((client) => client.count(1)))
  const refused = await StreamClient.open(url)
  await refused.end()
  t.match(refused.events.at(-1), { event: 'hub.close', data: '{"reason":"limit","reconnect":true}' })
})

t.test('an app with running tasks closes at once; the tasks stop without an error', async (t) => {
  const host = await build(t)
  const client = await StreamClient.open(`${await host.listen()}/hub/tasks/demo`)
  await client.count(1)
  await host.app.close()
  await client.end()
  t.match(client.events.at(-1), { data: '{"reason":"shutdown","reconnect":true}' })
  // This timer is later and longer than that of the task's next step, so it is due after it.
  await new Promise((resolve) => setTimeout(resolve, 3 * STEP))
  t.same(host.errors, [])
})

t.test('the HTTP API for hosts has no demo task', async (t) => {
  const { app } = await buildRoutes(t)
  t.equal((await app.inject('/hub/tasks/demo')).statusCode, 404)
})
