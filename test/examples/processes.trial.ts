import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchBrowser, NO_BROWSER } from '../browser/chromium.ts'
import { ExampleProcess, linkedExamples } from '../support/example-process.ts'
import { packedExamples } from '../support/packed-example.ts'
import { PostgresServer, withoutPostgres } from '../support/postgres-server.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/test-node.ts'

t.setTimeout(400_000)

const linked = await linkedExamples(t)
const packed = await packedExamples(t, 'nestjs', 'outbox')
const browser = await launchBrowser(t)
t.teardown(() => browser?.close())
const inBrowser = { skip: browser === undefined && NO_BROWSER }

async function open(t: Test, url: string): Promise<Page> {
  const page = (await browser?.newPage()) as Page
  t.teardown(() => page.close())
  page.on('pageerror', (error) => t.error(error))
  await page.goto(url)
  await page.locator('.state[data-state=open]').waitFor()
  return page
}

const linesOf = (page: Page): Promise<string[]> => page.locator('.feed li').allTextContents()

t.test('worker: a job of a killed worker is done again, and its page gets each step once', inBrowser, async (t) => {
  const example = await ExampleProcess.start(t, linked, 'worker', { TICK: '150' })
  const page = await open(t, example.url)
  await page.locator('#start').click()
  await page.locator('.feed li:nth-child(3)').waitFor()
  await page.locator('#kill').click()
  await page.locator('.feed li:nth-child(10)').waitFor()
  await page.locator('#start').click()
  await page.locator('.feed li:nth-child(20)').waitFor()
  const steps = Array.from({ length: 10 }, (_, index) => `step ${index + 1} of 10`)
  t.same(
    (await linesOf(page)).map((line) => line.replace(/^\w+: /, '')),
    [...steps, ...steps]
  )
  t.match(example.output, 'SIGKILL', 'the worker was killed')
  t.match(await example.call('POST', '/hub-api/users/alice/events', { data: 1 }), { status: 403 })
  t.equal(await example.stop(), 0)
})

t.test('cluster: an event of one node reaches the pages of all, and a stream resumes on another', async (t) => {
  if (withoutRedis) return t.pass(withoutRedis, { skip: withoutRedis })
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const nodes = await ExampleProcess.start(t, linked, 'cluster', { REDIS_URL: redis.url })
  const addresses = () => [...nodes.output.matchAll(/^open (\S+)\/$/gm)].map(([, url]) => String(url))
  await until(addresses, ({ length }) => length === 3, 'three nodes', 60_000)
  const [one, two, three] = addresses() as [string, string, string]
  const streams = await Promise.all([one, two].map((url) => StreamClient.open(`${url}/events?user=alice`)))
  for (const stream of streams) await stream.event('hub.welcome')
  const publish = (data: string) =>
    fetch(`${three}/users/alice/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ data })
    })
  t.match(await (await publish('first')).json(), { streams: 2 })
  for (const stream of streams) await stream.count(1)
  streams[0]?.cut()
  await publish('second')
  const resumed = await StreamClient.open(`${three}/events?user=alice`, { lastEventId: streams[0]?.lastEventId ?? '' })
  t.same(
    (await resumed.count(1)).map(({ data }) => data),
    ['second']
  )
  t.equal(await nodes.stop(), 0)
  await resumed.end()
})

t.test('cluster: the page of a node shows what another one took', inBrowser, async (t) => {
  if (withoutRedis) return t.pass(withoutRedis, { skip: withoutRedis })
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const start = () => ExampleProcess.start(t, linked, 'cluster/node.mjs', { REDIS_URL: redis.url })
  const nodes = await Promise.all([start(), start()])
  const [one, two] = [await open(t, nodes[0].url), await open(t, nodes[1].url)]
  await one.locator('button').click()
  for (const page of [one, two]) await page.locator('.feed li', { hasText: 'Hello from this node' }).waitFor()
  const names = await Promise.all([one, two].map((page) => page.locator('#node').textContent()))
  t.equal(new Set(names).size, 2)
})

t.test('nestjs: a controller opens streams and sends, and a signal ends them in order', inBrowser, async (t) => {
  const example = await ExampleProcess.startPackage(t, packed, 'nestjs')
  const page = await open(t, example.url)
  await page.locator('#ship').click()
  await page.locator('.feed li', { hasText: 'order 7 has left' }).waitFor()
  t.match(await example.call('GET', '/events'), { status: 401 })
  t.match(await example.call('POST', '/orders/seven/ship'), { status: 400 })
  const stream = await StreamClient.open(`${example.url}/events?user=alice`)
  await stream.event('hub.welcome')
  example.child.kill('SIGTERM')
  t.match(JSON.parse((await stream.event('hub.close')).data), { reason: 'shutdown', reconnect: true })
})

t.test('outbox: whenever the app is killed, no event is lost, and none comes twice', async (t) => {
  if (withoutPostgres) return t.pass(withoutPostgres, { skip: withoutPostgres })
  const postgres = await PostgresServer.start(t)
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-outbox-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const env = { DATABASE_URL: postgres.url, HUB_FOLDER: join(folder, 'data') }
  const start = () => ExampleProcess.startPackage(t, packed, 'outbox', env)
  const ordersOf = (stream: StreamClient) => stream.published.map(({ data }) => JSON.parse(data).id)

  let example = await start()
  let stream = await StreamClient.open(`${example.url}/events`)
  t.match(await example.call('POST', '/orders', { quantity: 2 }), { status: 201, body: { id: 1 } })
  t.match(await example.call('POST', '/orders', { quantity: 0 }), { status: 422 }, 'rolled back, with its event')
  await stream.count(1)

  // Between publishing and deleting: the deletion waits for a lock of the test.
  await postgres.query(`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
    CREATE TRIGGER hold BEFORE DELETE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION hold()`)
  const locking = postgres.session()
  locking.stdin?.write("SELECT pg_advisory_lock(1), 'locked';\n")
  await once(locking.stdout as NodeJS.ReadableStream, 'data')
  const insert = (id: string) => {
    const draft = JSON.stringify({ event: 'order.placed', data: { id } })
    return postgres.query(`INSERT INTO outbox (target, draft) VALUES ('{"users":["alice"]}', '${draft}')`)
  }
  await insert('a')
  await stream.until(() => ordersOf(stream).includes('a'), 'the event of the row')
  example.child.kill('SIGKILL')
  await stream.end()
  const { lastEventId } = stream

  // Between the commit of the row and the relay: the app is down.
  locking.stdin?.end()
  await once(locking, 'exit')
  t.equal(await postgres.query('SELECT count(*) FROM outbox'), '1', 'the row was published and not deleted')
  await insert('b')
  example = await start()
  stream = await StreamClient.open(`${example.url}/events`, { lastEventId })
  await stream.until(() => ordersOf(stream).includes('b'), 'the event of the time of the outage')
  t.same(ordersOf(stream), ['b'])

  t.match(await example.call('POST', '/orders', { quantity: 1 }), { status: 201 })
  await stream.count(2)
  await until(
    () => postgres.query('SELECT count(*) FROM outbox'),
    (rows) => rows === '0',
    'an empty outbox'
  )
  t.equal(await example.stop(), 0)
})

t.test('outbox: the page shows orders that are committed, and none that are not', inBrowser, async (t) => {
  if (withoutPostgres) return t.pass(withoutPostgres, { skip: withoutPostgres })
  const postgres = await PostgresServer.start(t)
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-outbox-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const env = { DATABASE_URL: postgres.url, HUB_FOLDER: join(folder, 'data') }
  const page = await open(t, (await ExampleProcess.startPackage(t, packed, 'outbox', env)).url)
  await page.locator('#fail').click()
  await page.getByText('There is no such quantity').waitFor()
  await page.locator('#order').click()
  await page.locator('.feed li').waitFor()
  t.match(await linesOf(page), [/^order \d+: 3 pieces$/])
})
