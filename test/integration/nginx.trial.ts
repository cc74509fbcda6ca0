import t from 'tap'
import { startNginx, withoutNginx } from '../support/nginx.ts'
import { NodeProcess } from '../support/node-process.ts'
import { RedisServer } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/test-node.ts'

t.setTimeout(240_000)

t.test('three nodes behind nginx are one hub', { skip: withoutNginx }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const options = { url: redis.url, prefix: 'nginx', lease: 2_000, reconnectionTime: 10 }
  const nodes = await Promise.all([1, 2, 3].map(() => NodeProcess.start(t, options)))
  const url = await startNginx(t, nodes)
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as { streams: number } }
  }

  const clients: StreamClient[] = []
  for (let at = 0; at < 6; at++) clients.push(await StreamClient.open(`${url}/events?user=user${at}`))
  for (const client of clients) {
    t.match(client.response.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform' })
    await client.event('hub.welcome')
  }
  const spread = await Promise.all(nodes.map((node) => node.get('/stats').then(({ streams }) => streams)))
  t.same(spread, [2, 2, 2], 'streams are spread')
  await until(
    () => post('/broadcast', { data: '1' }),
    ({ body }) => body.streams === 6,
    'a receipt of six'
  )
  for (const client of clients) await client.count(1)

  t.test('an event is delivered at once, from any node', async (t) => {
    for (let at = 0; at < 6; at++) {
      t.match(await post(`/users/user${at}/events`, { data: 'hers' }), { status: 202, body: { streams: 1 } })
      const client = clients[at] as StreamClient
      await client.until(() => client.published.at(-1)?.data === 'hers', 'it')
    }
  })

  t.test('when a node dies its clients continue on another one, at their position', async (t) => {
    await (nodes[1] as NodeProcess).end('SIGKILL')
    const cut = []
    for (const [at, client] of clients.entries()) {
      const isCut = await Promise.race([
        client.end().then(() => true),
        post(`/users/user${at}/events`, { data: 'while away' }).then(() =>
          client
            .until(() => client.isEnded || client.published.at(-1)?.data === 'while away', 'it')
            .then(() => client.isEnded)
        )
      ])
      if (isCut) cut.push(at)
    }
    t.equal(cut.length, 2)
    for (const at of cut) {
      const { lastEventId } = clients[at] as StreamClient
      await until(
        async () => {
          const back = await StreamClient.open(`${url}/events?user=user${at}`, { lastEventId })
          if (back.status !== 200) return back.status
          await back.count(1)
          const texts = back.published.map(({ data }) => data)
          clients[at] = back
          return texts[0]
        },
        (answer) => answer === 'while away',
        'the missed event'
      )
    }
    for (const at of cut) t.match((await post(`/users/user${at}/events`, { data: 'again' })).status, 202)
    for (const at of cut) {
      const client = clients[at] as StreamClient
      await client.until(() => client.published.at(-1)?.data === 'again', 'again')
    }
  })

  t.test('a client that was closed for good stays away, from any node', async (t) => {
    const gone = await fetch(`${url}/users/user0/streams`, { method: 'DELETE' })
    t.same(await gone.json(), { closed: 1 })
    const client = clients[0] as StreamClient
    await client.end()
    for (let turn = 0; turn < 3; turn++) {
      const back = await StreamClient.open(`${url}/events?user=user0`, { lastEventId: client.lastEventId })
      t.equal(back.status, 204)
    }
  })
})
