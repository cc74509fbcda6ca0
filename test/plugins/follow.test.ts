import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Producer } from '../../services/streams/feed.ts'
import { buildHub, failOnWarnings, type HubHost } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const FINISHED = '{"reason":"finished","reconnect":false}'

/** A host whose streams are fed by `source`, called once for each request. */
const feeding = (t: Test, source: () => Producer): Promise<HubHost> =>
  buildHub(t, { host: (app) => app.get('/report', (request, reply) => app.sse.stream(request, reply, source())) })

const followTask = (app: FastifyInstance) =>
  app.get<{ Querystring: { user?: string } }>('/task', (request, reply) =>
    app.sse.follow(request, reply, 'task', { user: request.query.user })
  )

t.test('the values of an iterable are written to one stream, which then ends', async (t) => {
  const host = await feeding(t, async function* () {
    yield 'text'
    yield { data: { step: 1 } }
    yield { event: 'done', data: '' }
  })
  const client = await StreamClient.open(`${await host.listen()}/report`)
  await client.end()
  t.match(
    client.events.map(({ event, data, id }) => ({ event, data, id })),
    [
      { event: 'hub.welcome' },
      { event: 'message', data: 'text', id: undefined },
      { event: 'message', data: '{"step":1}', id: undefined },
      { event: 'done', data: '', id: undefined },
      { event: 'hub.close', data: FINISHED, id: /\.end$/ }
    ]
  )
  t.ok(client.parser.isAtBoundary)
  t.same(host.closed, ['finished'])
})

t.test('a Readable of bytes may cut its characters in two', async (t) => {
  const bytes = Buffer.from('a😀b')
  const host = await feeding(t, () => Readable.from([bytes.subarray(0, 3), bytes.subarray(3)]))
  const client = await StreamClient.open(`${await host.listen()}/report`)
  await client.end()
  t.equal(client.published.map(({ data }) => data).join(''), 'a😀b')
})

t.test('a producer that fails is logged, and its stream closed for good', async (t) => {
  const failing: [string, () => Producer][] = [
    [
      'in the middle',
      async function* () {
        yield 'first'
        throw new Error('no more paper')
      }
    ],
    ['with a value that is not an event', () => ['first', 42] as unknown as string[]],
    ['with a reserved name', () => ['first', { event: 'hub.close', data: 'forged' }]]
  ]
  for (const [how, source] of failing) {
    const host = await feeding(t, source)
    const client = await StreamClient.open(`${await host.listen()}/report`)
    await client.end()
    t.same(
      client.published.map(({ data }) => data),
      ['first'],
      how
    )
    t.match(
      client.events.at(-1),
      { event: 'hub.close', data: '{"reason":"error","reconnect":false}', id: '0.end' },
      how
    )
    t.equal(host.errors.length, 1, how)
    t.match(host.errors[0], 'the source of a stream failed')
  }
})

t.test('a fed stream has no id and resumes nothing, with any cursor of its client', async (t) => {
  const host = await feeding(t, () => ['token'])
  const url = `${await host.listen()}/report`
  const { id } = await host.app.sse.broadcast({ data: 'an event of the log' })
  for (const lastEventId of [undefined, String(id), 'none of a hub']) {
    const client = await StreamClient.open(url, { lastEventId })
    await client.end()
    t.match(JSON.parse(client.events[0]?.data ?? ''), { resumed: false, replayed: 0 })
    t.same(
      client.events.slice(0, -1).map(({ id }) => id),
      [undefined, undefined]
    )
    t.same(client.events.at(-1)?.id, '0.end', 'only the end has an id')
    const back = await StreamClient.open(url, { lastEventId: client.lastEventId })
    t.equal(back.status, 204)
  }
})

t.test('a fed stream survives an outage and a discontinuity of the log', async (t) => {
  let feed = (_data: string) => {}
  const source = new Readable({ read() {}, objectMode: true })
  feed = (data) => source.push(data)
  const host = await feeding(t, () => source)
  const { manager } = host.app.sse
  manager.log.read = () => {
    throw new Error('no log')
  }
  const client = await host.client(`${await host.listen()}/report`)
  feed('1')
  await client.count(1)
  manager.onDiscontinuity({ seq: 99, witness: 'another0000000' })
  feed('2')
  await client.count(2)
  source.push(null)
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: FINISHED })
  t.same(host.errors, [])
})

t.test('each follower of a task gets it from its beginning to its final event', async (t) => {
  const host = await buildHub(t, { host: followTask })
  const url = `${await host.listen()}/task`
  await host.app.sse.publish('task', { data: 1 })
  const early = await StreamClient.open(url)
  await early.count(1)
  await host.app.sse.publish('task', { data: 2 })
  await host.app.sse.broadcast({ data: 'for everyone, not part of the task' })
  await host.app.sse.publish('task', { data: 3, final: true })
  const late = await StreamClient.open(url)
  for (const client of [early, late]) {
    await client.end()
    t.same(
      client.published.map(({ data }) => data),
      ['1', '2', '3']
    )
    t.match(client.events.at(-1), { event: 'hub.close', data: FINISHED })
  }
})

t.test('a client that is cut in the middle of a task resumes in the middle', async (t) => {
  const host = await buildHub(t, { host: followTask })
  const url = `${await host.listen()}/task`
  const seen: string[] = []
  let lastEventId = ''
  for (let step = 1; step <= 5; step++) {
    const client = await StreamClient.open(url, { lastEventId })
    await host.app.sse.publish('task', { data: step, final: step === 5 })
    await client.count(1)
    seen.push(...client.published.map(({ data }) => data))
    lastEventId = client.lastEventId
    client.cut()
  }
  t.same(seen, ['1', '2', '3', '4', '5'])
})

t.test('a stream that follows for a user counts as a stream of that user', async (t) => {
  const host = await buildHub(t, { hub: { maxStreamsPerUser: 1 }, host: followTask })
  const client = await host.client(`${await host.listen()}/task?user=alice`)
  t.match(await host.app.sse.presence('alice'), { online: true, streams: [{ topics: ['task'] }] })
  t.equal((await host.app.sse.send('alice', { data: 'of no concern to the task' })).streams, 0)
  await host.client(`${host.url}/task?user=alice`)
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: /"replaced"/ })
})

t.test('an invalid topic is 400', async (t) => {
  const { app } = await buildHub(t, {
    host: (app) => app.get('/task', (request, reply) => app.sse.follow(request, reply, ''))
  })
  t.match((await app.inject('/task')).json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_TOPIC' })
})

t.test('a host may create its own server', async (t) => {
  const host = await buildHub(t, { server: { serverFactory: (handler) => createServer(handler) }, host: followTask })
  const client = await host.client(`${await host.listen()}/task`)
  await host.app.close()
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"shutdown","reconnect":true}' })
})
