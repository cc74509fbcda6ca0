import t from 'tap'
import { buildRoutes, failOnWarnings } from '../support/build.ts'
import { FakeClock } from '../support/fake-clock.ts'

failOnWarnings(t)

t.test('a topic has the number of its listeners, and none if nobody has used it', async (t) => {
  const host = await buildRoutes(t, { hub: { clock: new FakeClock() } })
  const url = `${await host.listen()}/hub/events?user=`
  await host.client(`${url}alice&topics=news,sport`)
  await host.client(`${url}alice&topics=news`)
  await host.client(`${url}bob`)
  for (const [topic, streams] of Object.entries({ news: 2, sport: 1, nothing: 0 })) {
    const response = await host.app.inject(`/hub/topics/${topic}`)
    t.equal(response.statusCode, 200)
    t.same(response.json(), { topic, streams })
  }
  t.match((await host.app.inject('/hub/topics/a%00b')).json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_TOPIC' })
})

t.test('the listeners of a topic are read with the right to read that topic', async (t) => {
  const asked: unknown[] = []
  const host = await buildRoutes(t, {
    routes: {
      authorize: (_request, action) => {
        asked.push(action)
        return 'topic' in action && action.topic === 'mine'
      }
    }
  })
  t.equal((await host.app.inject('/hub/topics/mine')).statusCode, 200)
  t.equal((await host.app.inject('/hub/topics/other')).statusCode, 403)
  t.same(asked, [
    { verb: 'read', topic: 'mine' },
    { verb: 'read', topic: 'other' }
  ])
})
