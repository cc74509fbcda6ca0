import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { HubPublisher, type PublisherError, type PublisherOptions } from '../../publisher.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'

const KEY = 'k'.repeat(43)

interface Host {
  readonly app: FastifyInstance
  readonly url: string
  /** The number of events of each request. */
  readonly requests: number[]
}

/** Answers a request in place of the hub; undefined passes it on. */
type Intercept = (request: number) => Response | undefined

async function build(t: Test, options: HubAppOptions = {}): Promise<Host> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const requests: number[] = []
  app.addHook('preHandler', async ({ body, method }) => {
    if (method === 'POST') requests.push((body as unknown[]).length)
  })
  await app.register(hubApp, options)
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }), requests }
}

function publisherTo({ url }: Host, options: Partial<PublisherOptions> = {}, intercept: Intercept = () => undefined) {
  let request = 0
  const passed: typeof fetch = async (...args) => intercept(++request) ?? fetch(...args)
  return new HubPublisher({ url, random: () => 0, fetch: passed, ...options })
}

const dataOf = async (app: FastifyInstance, user = 'alice') =>
  (await app.sse.history({ user }, { limit: 1_000 })).events.map(({ data }) => data)

/** The results of promises: the receipt, or the code of the error. */
const outcomes = (calls: readonly Promise<unknown>[]) =>
  Promise.all(
    calls.map((call) =>
      call.then(
        () => 'published',
        ({ code }: PublisherError) => code
      )
    )
  )

t.test('events are published in the order of the calls, in few requests', async (t) => {
  const host = await build(t)
  const publisher = publisherTo(host, { maxBatch: 100 })
  const calls = Array.from({ length: 250 }, (_, data) => publisher.send('alice', { event: 'n', data }))
  t.equal(publisher.queued, 250)
  const receipts = await Promise.all(calls)
  t.same(
    await dataOf(host.app),
    Array.from({ length: 250 }, (_, data) => `${data}`)
  )
  t.same(host.requests, [100, 100, 50])
  const { events } = await host.app.sse.history({ user: 'alice' }, { limit: 250 })
  t.same(
    receipts.map(({ id }) => id),
    events.map(({ id }) => id)
  )
  t.match(await publisher.broadcast({ data: 'all' }), { id: String, streams: 0 })
  t.match(await publisher.publish(['a', 'b'], { data: 1, transient: true }), { id: null })
  t.match(await publisher.publishTo({ topics: ['a'], except: { users: ['bob'] } }, { data: 1 }), { id: String })
  t.equal(publisher.queued, 0)
  await publisher.close()
})

t.test('an event whose answer was lost is published once', async (t) => {
  const host = await build(t)
  let attempts = 0
  const publisher = new HubPublisher({
    url: host.url,
    random: () => 0,
    fetch: async (...args) => {
      const response = await fetch(...args)
      if (++attempts < 3) throw new TypeError('fetch failed', { cause: { code: 'ECONNRESET' } })
      return response
    }
  })
  await Promise.all([publisher.send('alice', { data: 1 }), publisher.send('alice', { data: 2 })])
  t.equal(attempts, 3)
  t.same(await dataOf(host.app), ['1', '2'])
})

t.test('an event that the hub does not take is rejected alone', async (t) => {
  const host = await build(t, { hub: { maxEventBytes: 1_000 } })
  const publisher = publisherTo(host)
  const calls = [
    publisher.send('alice', { data: 1 }),
    publisher.send('alice', { event: 'hub.own', data: 2 }),
    publisher.send('alice', { data: 3 }),
    publisher.send('alice', { data: 'x'.repeat(2_000) }),
    publisher.send('', { data: 5 }),
    publisher.send('alice', { data: 6 })
  ]
  t.same(await outcomes(calls), [
    ...['published', 'SSE_HUB_ERR_RESERVED_EVENT_NAME', 'published', 'SSE_HUB_ERR_EVENT_TOO_LARGE'],
    ...['SSE_HUB_ERR_INVALID_REQUEST', 'published']
  ])
  t.same(await dataOf(host.app), ['1', '3', '6'])
  const circular: Record<string, unknown> = {}
  circular.self = circular
  t.same(await outcomes([publisher.send('alice', { data: circular })]), ['SSE_HUB_ERR_INVALID_DATA'])
})

t.test('a bad key is one request, and a missing scope concerns its events alone', async (t) => {
  const host = await build(t, { authentication: { apiKeys: readApiKeys(`one:${KEY}:user:alice`) } })
  let requests = 0
  const count: Intercept = () => void requests++
  const unknown = publisherTo(host, { key: 'x'.repeat(43) }, count)
  const calls = Array.from({ length: 8 }, (_, data) => unknown.send('alice', { data }))
  t.same(new Set(await outcomes(calls)), new Set(['SSE_HUB_ERR_NO_CREDENTIALS']))
  t.equal(requests, 1)
  const known = publisherTo(host, { key: KEY })
  t.same(await outcomes([known.send('bob', { data: 1 }), known.send('alice', { data: 2 })]), [
    'SSE_HUB_ERR_FORBIDDEN',
    'published'
  ])
})

t.test('a hub that is away is tried again, and its Retry-After is kept', async (t) => {
  const host = await build(t)
  const at: number[] = []
  const publisher = publisherTo(host, {}, (request) => {
    at.push(performance.now())
    if (request === 1)
      return Response.json(
        { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', message: '' },
        { status: 503, headers: { 'retry-after': '1' } }
      )
    if (request === 2) return new Response('<html>', { status: 502 })
    return undefined
  })
  t.match(await publisher.send('alice', { data: 1 }), { id: String })
  t.equal(at.length, 3)
  t.ok((at[1] as number) - (at[0] as number) >= 990)
})

t.test('an event is given up when its time is over, with the last error', async (t) => {
  const host = await build(t)
  const down = () => Response.json({ code: 'SSE_HUB_ERR_LOG_FULL', message: 'no room' }, { status: 507 })
  const impatient = publisherTo(host, { retryFor: 0 }, down)
  await t.rejects(impatient.send('alice', { data: 1 }), {
    code: 'SSE_HUB_ERR_LOG_FULL',
    status: 507,
    message: 'no room'
  })
  const refused = new HubPublisher({ url: 'http://127.0.0.1:1', retryFor: 0 })
  await t.rejects(refused.send('alice', { data: 1 }), { code: 'NETWORK', status: undefined })
  const odd = publisherTo(host, {}, () => new Response('teapot', { status: 418 }))
  await t.rejects(odd.send('alice', { data: 1 }), { code: 'HTTP', status: 418 })
})

t.test('the events that wait are bounded, and a producer awaits room', async (t) => {
  const host = await build(t)
  const publisher = publisherTo(host, { maxQueued: 5, maxBatch: 5 })
  const calls = Array.from({ length: 5 }, (_, data) => publisher.send('alice', { data }))
  t.same(await outcomes([publisher.send('alice', { data: 'too many' })]), ['QUEUE_FULL'])
  await publisher.room()
  t.equal(publisher.queued, 0)
  t.match(await publisher.send('alice', { data: 5 }), { id: String })
  await Promise.all(calls)
  for (let data = 6; data < 30; data++) {
    await publisher.room()
    publisher.send('alice', { data }).catch((error) => t.fail(error))
  }
  await publisher.flush()
  t.same(
    await dataOf(host.app),
    Array.from({ length: 30 }, (_, data) => `${data}`)
  )
  const small = publisherTo(host, { maxQueuedBytes: 100 })
  const large = small.send('alice', { data: 'x'.repeat(200) })
  t.same(await outcomes([small.send('alice', { data: 1 }), large]), ['QUEUE_FULL', 'published'])
})

t.test('a publisher that closes publishes the rest, or gives it up in time', async (t) => {
  const host = await build(t)
  const publisher = publisherTo(host)
  const sent = publisher.send('alice', { data: 1 })
  await publisher.close()
  t.match(await sent, { id: String })
  t.same(await outcomes([publisher.send('alice', { data: 2 })]), ['CLOSED'])
  const cut = publisherTo(host, {}, () => new Response('', { status: 503 }))
  const pending = outcomes([cut.send('alice', { data: 1 }), cut.send('alice', { data: 2 })])
  await cut.close({ within: 10 })
  t.same(await pending, ['CLOSED', 'CLOSED'])
  t.same(await dataOf(host.app), ['1'])
})

t.test('invalid options are errors, and an event map types the drafts', async (t) => {
  for (const options of [
    { url: 'hub' },
    { url: 'ftp://hub' },
    { url: 'http://hub', key: 'a b' },
    { url: 'http://hub', maxBatch: 0 },
    { url: 'http://hub', retryFor: 300_000 },
    { url: 'http://hub', retries: 3 }
  ])
    t.throws(() => new HubPublisher(options as PublisherOptions), TypeError, JSON.stringify(options))
  const host = await build(t)
  const typed = new HubPublisher<{ 'order.shipped': { order: number } }>({ url: new URL(host.url) })
  await typed.send('alice', { event: 'order.shipped', data: { order: 7 } })
  // @ts-expect-error the name is not in the map
  await typed.send('alice', { event: 'order.lost', data: { order: 7 } })
  // @ts-expect-error the data is of another type
  await typed.send('alice', { event: 'order.shipped', data: { order: 'seven' } })
})
