import t from 'tap'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { pause, startServer } from '../support/exactly-once.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'

t.setTimeout(120_000)

async function publish(url: string, data: string, key?: string): Promise<Response> {
  return fetch(`${url}/users/alice/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) },
    body: JSON.stringify({ data })
  })
}

t.test('streams stay open while Redis is away, and get later events', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start({ isDurable: true })
  t.teardown(() => redis.stop())
  const log = await redisLog({ url: redis.url, timeout: 1_000 })
  const { app, url } = await startServer({ log, heartbeatInterval: 200 })
  t.teardown(() => app.close())
  const client = await StreamClient.open(`${url}/events?user=alice`)
  t.teardown(() => client.cut())
  await client.event('hub.welcome')
  t.equal((await publish(url, 'before')).status, 202)
  await client.count(1)
  await redis.kill()
  while (await app.sse.ready()) await pause(10)

  const refused = await publish(url, 'refused')
  t.equal(refused.status, 503)
  t.equal(refused.headers.get('retry-after'), '1')
  t.match(await refused.json(), { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', message: /Nothing was published/ })
  t.equal((await fetch(`${url}/health/ready`)).status, 503)
  t.equal((await fetch(`${url}/health/live`)).status, 200)
  t.equal((await fetch(`${url}/users/alice/events`)).status, 503, 'history is in Redis')

  const heartbeats = client.events.filter(({ event }) => event === 'hub.heartbeat').length
  await client.until(
    () => client.events.filter(({ event }) => event === 'hub.heartbeat').length > heartbeats + 1,
    'heartbeats'
  )
  const late = await StreamClient.open(`${url}/events?user=alice`, { lastEventId: client.lastEventId })
  t.teardown(() => late.cut())
  await late.event('hub.welcome')
  const old = await StreamClient.open(`${url}/events?user=alice&from=oldest`)
  await old.end()
  t.equal(old.status, 200, 'a failed read is not an end for good')
  t.match(old.text, /"reconnect":true\}\nretry: \d+\n/)

  await redis.start()
  while (!(await app.sse.ready())) await pause(10)
  t.equal((await publish(url, 'after')).status, 202)
  await client.count(2)
  await late.count(1)
  t.same(
    client.published.map(({ data }) => data),
    ['before', 'after']
  )
  t.same(
    late.published.map(({ data }) => data),
    ['after']
  )
  t.notMatch(client.text + late.text, /hub\.gap/)
})

t.test('a publisher gets an error for an unknown outcome, and repeats safely', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const { app, url } = await startServer({ log: await redisLog({ url: redis.url, timeout: 500 }) })
  t.teardown(() => app.close())
  const client = await StreamClient.open(`${url}/events?user=alice`)
  t.teardown(() => client.cut())
  await client.event('hub.welcome')
  redis.freeze()
  const unknown = await publish(url, 'once', 'key')
  t.equal(unknown.status, 503)
  t.match(await unknown.json(), { message: /not known.*idempotency key/ })
  redis.thaw()
  while (!(await app.sse.ready())) await pause(10)
  t.equal((await publish(url, 'once', 'key')).status, 202)
  t.equal((await publish(url, 'last')).status, 202)
  await client.until(() => client.published.at(-1)?.data === 'last', 'the last event')
  t.same(
    client.published.map(({ data }) => data),
    ['once', 'last']
  )
})

t.test('streams get a gap when Redis comes back empty, and continue', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const { app, url } = await startServer({ log: await redisLog({ url: redis.url, timeout: 1_000 }) })
  t.teardown(() => app.close())
  const client = await StreamClient.open(`${url}/events?user=alice`)
  t.teardown(() => client.cut())
  await client.event('hub.welcome')
  t.equal((await publish(url, 'before')).status, 202)
  await client.count(1)
  await redis.kill()
  await redis.start()
  t.match(JSON.parse((await client.event('hub.gap')).data), { reason: 'reset' })
  while (!(await app.sse.ready())) await pause(10)
  t.equal((await publish(url, 'after')).status, 202)
  await client.count(2)
  t.same(
    client.published.map(({ data }) => data),
    ['before', 'after']
  )
})

t.test('5,000 streams that return at once read nothing from Redis', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const { app, url } = await startServer({ log: await redisLog({ url: redis.url }), openingRate: 0 })
  t.teardown(() => app.close())
  const first = await StreamClient.open(`${url}/events?user=alice`)
  const welcome = await first.event('hub.welcome')
  first.cut()
  for (let at = 0; at < 20; at++) await publish(url, `${at}`)
  while (app.sse.cursor().split('.')[0] !== (20).toString(36)) await pause(5)
  const reads = async () =>
    /cmdstat_zrangebyscore:calls=(\d+)/.exec(String(await redis.send(['INFO', 'commandstats'])))?.[1]
  const before = await reads()
  for (let round = 0; round < 25; round++) {
    const clients = await Promise.all(
      Array.from({ length: 200 }, () =>
        StreamClient.open(`${url}/events?user=alice`, { lastEventId: welcome.id ?? '' })
      )
    )
    await Promise.all(clients.map((client) => client.count(20)))
    for (const client of clients) client.cut()
  }
  t.equal(await reads(), before)
})
