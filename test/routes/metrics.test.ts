import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { Counter, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { hubMetrics } from '../../metrics.ts'
import { sseHub } from '../../plugins/sse-hub.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { METRICS } from '../../services/metrics/catalogue.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const ROOT = join(import.meta.dirname, '..', '..')
const SCRAPER = 's'.repeat(43)
const READER = 'r'.repeat(43)
const BACKEND = 'b'.repeat(43)
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

async function build(t: Test, options: HubAppOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp, options)
  return app
}

/** The value of each sample, by its name and labels as they are written. */
async function scrape(app: FastifyInstance): Promise<Map<string, number>> {
  const { payload } = await app.inject('/metrics')
  const samples = payload.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    samples.map((line): [string, number] => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    })
  )
}

t.test('metrics count streams, events, gaps and refusals of a node', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const first = await StreamClient.open(`${url}/events?user=alice`)
  await first.event('hub.welcome')
  await app.sse.send('alice', { data: 1 })
  await app.sse.send('alice', { data: 2, idempotencyKey: 'once' })
  await app.sse.send('alice', { data: 2, idempotencyKey: 'once' })
  await app.sse.broadcast({ data: 3 })
  await first.count(3)
  const second = await StreamClient.open(`${url}/events?user=bob`, { lastEventId: 'forged' })
  await second.event('hub.gap')
  await second.count(1)
  await t.rejects(app.sse.send('alice', { data: 4, idempotencyKey: 'once' }))
  t.equal((await app.inject('/events?user=')).statusCode, 401)
  await app.sse.disconnect('bob')
  await second.end()

  const values = await scrape(app)
  const expected: Record<string, number> = {
    'sse_hub_streams{state="live"}': 1,
    'sse_hub_streams{state="replaying"}': 0,
    'sse_hub_streams{state="backpressured"}': 0,
    sse_hub_streams_pending: 0,
    sse_hub_users: 1,
    sse_hub_streams_opened_total: 2,
    'sse_hub_streams_closed_total{reason="kicked"}': 1,
    'sse_hub_streams_closed_total{reason="client"}': 0,
    'sse_hub_refused_total{reason="unauthenticated"}': 1,
    sse_hub_events_published_total: 4,
    sse_hub_events_deduplicated_total: 1,
    sse_hub_events_delivered_total: 3,
    sse_hub_events_replayed_total: 1,
    'sse_hub_gaps_total{reason="unknown"}': 1,
    sse_hub_append_seconds_count: 4,
    'sse_hub_append_errors_total{code="SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED"}': 1,
    sse_hub_ready: 1,
    'sse_hub_log_info{kind="memory"}': 1,
    sse_hub_log_events: 3,
    sse_hub_log_head: 3,
    sse_hub_cluster_streams: 1,
    sse_hub_cluster_nodes: 1
  }
  for (const [name, value] of Object.entries(expected)) t.equal(values.get(name), value, name)
  const written = values.get('sse_hub_write_seconds_count') as number
  t.ok(written >= 1 && written <= 3, `${written} writes of events that came together`)
  t.ok((values.get('sse_hub_written_bytes_total') as number) > 300)
  t.ok(values.has('nodejs_eventloop_lag_p99_seconds'))
  first.cut()
})

t.test('the buckets of a histogram add up, and fit the number of appends', async (t) => {
  const app = await build(t)
  for (let event = 0; event < 7; event++) await app.sse.send('alice', { data: event })
  const values = await scrape(app)
  const buckets = [...values].filter(([name]) => name.startsWith('sse_hub_append_seconds_bucket'))
  t.ok(buckets.length > 10)
  t.same(
    buckets.map(([, value]) => value),
    buckets.map(([, value]) => value).sort((one, other) => one - other)
  )
  t.same([buckets.at(-1)?.[0], buckets.at(-1)?.[1]], ['sse_hub_append_seconds_bucket{le="+Inf"}', 7])
  t.equal(values.get('sse_hub_append_seconds_count'), 7)
})

t.test('no metric has a user, a topic or an id as a label', async (t) => {
  const app = await build(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const before = [...(await scrape(app)).keys()].filter((name) => name.startsWith('sse_hub_'))
  for (let user = 0; user < 20; user++) {
    const client = await StreamClient.open(`${url}/events?user=secret-${user}&topics=hidden-${user}`)
    await client.event('hub.welcome')
    await app.sse.publish(`hidden-${user}`, { event: `name-${user}`, data: 1 })
    await client.count(1)
    client.cut()
  }
  const { payload } = await app.inject('/metrics')
  t.notMatch(payload, /secret|hidden|name-\d/)
  const after = [...(await scrape(app)).keys()].filter((name) => name.startsWith('sse_hub_'))
  t.same(after, before, 'no series was added')
})

t.test('the metrics of the documentation are those that exist, with their types, labels and meanings', async (t) => {
  const table = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8').matchAll(
    /^\| `(sse_hub_\w+)` +\| (\w+) +\| (\w*) +\| (.*?) +\|$/gm
  )
  const documented = [...table].map(([, ...cells]) => cells)
  t.same(
    documented,
    METRICS.map(({ name, type, labels = [], help }) => [name, type, labels.join(', '), help])
  )
  const { payload } = await (await build(t)).inject('/metrics')
  const exposed = [...payload.matchAll(/^# TYPE (sse_hub_\w+) (\w+)$/gm)].map(([, ...parts]) => parts)
  t.same(
    exposed,
    METRICS.map(({ name, type }) => [name, type])
  ) // of a hub without Redis and webhooks, too
})

t.test(
  'a locked hub shows metrics to keys with the scope metrics or read, and the former read nothing else',
  async (t) => {
    const apiKeys = readApiKeys(`scraper:${SCRAPER}:metrics; reader:${READER}:read; backend:${BACKEND}:publish`)
    const app = await build(t, { authentication: { apiKeys } })
    const status = async (url: string, headers = {}) => (await app.inject({ url, headers })).statusCode
    t.equal(await status('/metrics'), 401)
    t.equal(await status('/metrics', bearer(BACKEND)), 403)
    t.equal(await status('/metrics', bearer(SCRAPER)), 200)
    t.equal(await status('/metrics', bearer(READER)), 200)
    for (const url of ['/users', '/stats', '/users/alice/events', '/cursor'])
      t.equal(await status(url, bearer(SCRAPER)), 403, url)
    t.equal(
      (await app.inject({ method: 'POST', url: '/broadcast', payload: { data: 1 }, headers: bearer(SCRAPER) }))
        .statusCode,
      403
    )

    const open = await build(t, { authentication: { apiKeys }, metrics: 'open' })
    t.equal((await open.inject('/metrics')).statusCode, 200)
    t.equal((await open.inject('/stats')).statusCode, 401)
    const off = await build(t, { metrics: 'off' })
    t.equal((await off.inject('/metrics')).statusCode, 404)
    await t.rejects(build(t, { metrics: 'public' as 'open' }), { code: 'SSE_HUB_ERR_INVALID_OPTION' })
  }
)

t.test('a registry of the host takes the metrics beside its own, with its default labels', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sseHub)
  const registry = new Registry()
  registry.setDefaultLabels({ service: 'orders' })
  new Counter({ name: 'orders_total', help: 'of the host', registers: [registry] }).inc()
  hubMetrics(app.sse, registry)
  await app.sse.broadcast({ data: 1 })
  const text = await registry.metrics()
  t.match(text, 'orders_total{service="orders"} 1')
  t.match(text, 'sse_hub_events_published_total{service="orders"} 1')
  registry.resetMetrics()
  t.match(await registry.metrics(), 'sse_hub_events_published_total{service="orders"} 1', 'the counts are of the hub')
  const json = await registry.getMetricsAsJSON()
  t.ok(json.some(({ name }) => name === 'sse_hub_ready'))
  t.throws(() => hubMetrics(app.sse, registry), /already been registered/)
})

t.test('metrics tell this node from the cluster, and show Redis', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const nodes = await Promise.all(
    ['one', 'other'].map(async () => build(t, { hub: await redisHub({ url: redis.url, lease: 1_000 }) }))
  )
  const [one, other] = nodes as [FastifyInstance, FastifyInstance]
  const client = await StreamClient.open(`${await other.listen({ host: '127.0.0.1', port: 0 })}/events?user=alice`)
  await client.event('hub.welcome')
  await one.sse.send('alice', { data: 1 })
  await client.count(1)
  let values = await scrape(one)
  while (values.get('sse_hub_cluster_streams') !== 1) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    values = await scrape(one)
  }
  t.equal(values.get('sse_hub_streams{state="live"}'), 0)
  t.equal(values.get('sse_hub_cluster_nodes'), 2)
  t.equal(values.get('sse_hub_redis_up'), 1)
  t.ok((values.get('sse_hub_redis_round_trip_seconds_count') as number) > 0)
  t.equal(values.get('sse_hub_log_evicted_total'), 0)
  t.equal(values.get('sse_hub_log_expired_total'), 0)
  t.ok((values.get('sse_hub_cluster_lease_age_seconds') as number) < 60)
  t.equal((await scrape(other)).get('sse_hub_events_delivered_total'), 1)
  client.cut()
})
