import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import { resolveLimits } from '../../plugins/connections/limits.ts'
import { WorkerConnections } from '../../plugins/connections/worker-connections.ts'
import { rateLimit } from '../../plugins/rate-limit.ts'
import { serverStats } from '../../routes/server-stats.ts'
import { readEnvironment } from '../../standalone/environment.ts'
import { CountExchange } from '../../standalone/workers/count-exchange.ts'
import { PartCollector } from '../../standalone/workers/part-collector.ts'
import { WorkerLink } from '../../standalone/workers/worker-link.ts'
import { workerSettings } from '../../standalone/workers/worker-settings.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { ServerProcess } from '../support/server-process.ts'
import { sharing } from '../support/shared-counts.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenOf } from '../support/tokens.ts'

// Each process is compiled as it starts.
t.setTimeout(240_000)

const KEY = 'k'.repeat(43)
const NEXT_KEY = 'n'.repeat(43)
const SECRET = 's'.repeat(43)
const REDIS = 'redis://redis.example'
const bearer = (key: string) => ({ authorization: `Bearer ${key}`, connection: 'close' })

t.test('HUB_WORKERS is a number or "auto", and needs a Redis', async (t) => {
  t.equal(readEnvironment({}).workers, 1)
  t.equal(readEnvironment({ HUB_WORKERS: '1', HUB_STORE: 'memory' }).workers, 1)
  t.equal(readEnvironment({ HUB_WORKERS: '3', HUB_STORE: REDIS }).workers, 3)
  t.ok(readEnvironment({ HUB_WORKERS: 'auto', HUB_STORE: REDIS }).workers >= 1)
  for (const store of [{}, { HUB_STORE: 'memory' }, { HUB_STORE: './folder' }])
    for (const HUB_WORKERS of ['2', 'auto'])
      t.throws(
        () => readEnvironment({ HUB_WORKERS, ...store }),
        /^HUB_WORKERS needs a Redis .* Set HUB_STORE to a redis:\/\/ URL, .*\(SSE_HUB_ERR_WORKERS_NEED_REDIS\)$/
      )
  for (const HUB_WORKERS of ['0', '257', '1.5', '-1', 'all', 'Auto'])
    t.throws(() => readEnvironment({ HUB_WORKERS, HUB_STORE: REDIS }), /^HUB_WORKERS is /)
})

t.test('a worker has its share of the limits that are not counts', async (t) => {
  const environment = readEnvironment({ HUB_WORKERS: '4', HUB_STORE: REDIS, HUB_MAX_STREAMS: '10' })
  t.match(workerSettings(environment), { openingRate: 5, maxUnreadBytes: 33_554_432, maxStreams: 10 })
  const small = { ...environment, openingRate: 0, maxUnreadBytes: 1_048_576 }
  t.match(workerSettings(small), { openingRate: 0, maxUnreadBytes: 1_048_576 })
})

t.test('a rate limit holds over processes that share counts', async (t) => {
  const apps = await Promise.all(
    sharing().map(async (counts) => {
      const app = Fastify()
      const onRequest = await rateLimit(app, { perSecond: 5, callerOf: () => 'backend', counts })
      app.post('/', { onRequest }, async () => 'done')
      return app
    })
  )
  const statuses: number[] = []
  const start = performance.now()
  while (!statuses.includes(429)) {
    const app = apps[statuses.length % 2] as (typeof apps)[number]
    const { statusCode, headers } = await app.inject({ method: 'POST', url: '/' })
    statuses.push(statusCode)
    if (statusCode === 429) t.equal(headers['retry-after'], '1')
  }
  // On a machine that stands still, a second window may begin.
  const windows = 1 + Math.floor((performance.now() - start) / 1_000)
  t.ok(statuses.filter((status) => status === 200).length <= 5 * windows, `${statuses}`)
  // The window ends by itself, also in the process that receives no further call.
  while ((await apps[0]?.inject({ method: 'POST', url: '/' }))?.statusCode !== 200)
    await new Promise((resolve) => setTimeout(resolve, 50))
})

t.test('a limit of connections holds over workers; the default is that of one process', async (t) => {
  const [one, other] = sharing()
  const sockets = [new Socket(), new Socket(), new Socket()] as const
  const [first, second] = [new WorkerConnections(2, one), new WorkerConnections(2, other)]
  t.ok(first.admit(sockets[0]))
  t.ok(second.admit(sockets[1]))
  t.notOk(first.admit(sockets[2]))
  sockets[1].destroy()
  await once(sockets[1], 'close')
  t.ok(first.admit(sockets[2]))
  for (const socket of sockets) socket.destroy()
  t.match(resolveLimits({ counts: one }), { counts: undefined, addressCounts: undefined })
  t.equal(resolveLimits({ counts: one, maxConnections: 10 }).counts, one)
  t.match(resolveLimits({ counts: one, maxConnectionsPerAddress: 10 }), { counts: undefined, addressCounts: one })
})

/** A worker's channel to a primary process: the exchange of counts, and nothing else. */
class TestChannel {
  readonly sent: object[] = []
  #listener: (message: unknown) => void = () => {}

  on(_event: 'message', listener: (message: unknown) => void): void {
    this.#listener = listener
  }

  send(message: object, _handle: undefined, _options: object, callback: (error: Error | null) => void): boolean {
    this.sent.push(message)
    callback(null)
    return true
  }

  receive(message: object): void {
    this.#listener(message)
  }
}

t.test('the counts of a worker reach the others, and end with it', async (t) => {
  const exchange = new CountExchange()
  const received: [number, unknown][] = []
  const join = (worker: number) => exchange.join(worker, (changes) => received.push([worker, changes]))
  join(1)
  join(2)
  exchange.counted(1, [['streams', 3]])
  exchange.counted(2, [['streams', 1]])
  exchange.counted(1, [['streams', -1]])
  t.same(received.splice(0), [
    [2, [['streams', 3]]],
    [1, [['streams', 1]]],
    [2, [['streams', -1]]]
  ])
  join(3)
  t.same(received.splice(0), [
    [3, [['streams', 2]]],
    [3, [['streams', 1]]]
  ])
  exchange.leave(1)
  exchange.counted(1, [['streams', 9]])
  t.same(received, [
    [2, [['streams', -2]]],
    [3, [['streams', -2]]]
  ])
})

t.test('a worker adds up the counts of the others, and sends its own in batches', async (t) => {
  const channel = new TestChannel()
  const { counts } = new WorkerLink(1, channel)
  t.same(channel.sent.splice(0), [{ hub: 'joined' }])
  channel.receive({ hub: 'counted', changes: [['streams', 3]] })
  channel.receive({ hub: 'counted', changes: [['streams', -1]] })
  channel.receive({ type: 'a message of other code' })
  t.equal(counts.elsewhere('streams'), 2)
  for (let count = 0; count < 5; count++) counts.add('streams', 1)
  counts.add('closed again', 1)
  counts.add('closed again', -1)
  while (channel.sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.same(channel.sent, [{ hub: 'counted', changes: [['streams', 5]] }])
})

t.test('the state of all workers is that of those that answer in time', async (t) => {
  const collector = new PartCollector()
  const asked: number[][] = []
  const collected = new Promise((resolve) =>
    collector.collect([1, 2, 3], (worker, id) => asked.push([worker, id]), resolve)
  )
  t.same(asked, [
    [1, 1],
    [2, 1],
    [3, 1]
  ])
  collector.answered(3, 1, 'c')
  collector.answered(1, 1, 'a')
  collector.left(2)
  collector.answered(2, 1, 'too late')
  t.same(await collected, [
    { worker: 1, value: 'a' },
    { worker: 3, value: 'c' }
  ])
  const slow = new Promise((resolve) => collector.collect([1, 2], () => {}, resolve))
  collector.answered(1, 2, 'a')
  t.same(await slow, [{ worker: 1, value: 'a' }])
  const channel = new TestChannel()
  const link = new WorkerLink(1, channel)
  link.provide('broken', () => Promise.reject(new Error('broken')))
  channel.receive({ hub: 'read', id: 7, part: 'broken' })
  while (channel.sent.length < 2) await new Promise(setImmediate)
  t.same(channel.sent[1], { hub: 'part', id: 7, error: 'Error: broken' })
})

t.test('counts of workers add up, but not those of the log', async (t) => {
  const of = (streams: number, users: number) => ({
    ...{ streams, users, cluster: { streams: 7, users: 4 }, published: 1, opened: streams },
    ...{
      closed: { client: 1 },
      refused: { limit: 2 },
      log: { events: 100 },
      webhooks: { queued: 1, disabled: users > 3 },
      states: { live: streams },
      nodes: 3,
      connections: { open: streams, max: null }
    }
  })
  const parts = [of(3, 3), of(5, 4)].map((value, at) => ({ worker: at + 1, value: value as never }))
  t.same(serverStats(parts, 100), {
    ...{ streams: 8, users: 4, cluster: { streams: 8, users: 4 }, published: 2, opened: 8 },
    ...{ closed: { client: 2 }, refused: { limit: 4 }, log: { events: 100 }, webhooks: { queued: 2, disabled: true } },
    ...{ states: { live: 8 }, nodes: 3, connections: { open: 8, max: 100 } },
    workers: [
      { worker: 1, streams: 3 },
      { worker: 2, streams: 5 }
    ]
  })
})

interface Stats {
  readonly streams: number
  readonly opened: number
  readonly workers: readonly { readonly worker: number; readonly streams: number }[]
}

t.test(
  'two workers serve one port as one hub, and a worker that dies is replaced',
  { skip: withoutRedis },
  async (t) => {
    const redis = await RedisServer.start()
    t.teardown(() => redis.stop())
    const keys = join(t.testdir({ keys: `old:${KEY}:publish,read\n` }), 'keys')
    const server = new ServerProcess(t, {
      ...{ HUB_WORKERS: '2', HUB_STORE: redis.url, LOG_LEVEL: 'info', HUB_RETRY: '50' },
      ...{ HUB_API_KEYS_FILE: keys, HUB_JWT_SECRET: SECRET, HUB_MAX_STREAMS: '12' }
    })
    const url = await server.url()
    const lines = () => server.stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
    const logged = async (
      isWanted: (line: { msg: string; worker?: number; process?: number }) => boolean,
      count: number
    ) => {
      while (lines().filter(isWanted).length < count) await once(server.child.stdout as NodeJS.ReadableStream, 'data')
      return lines().filter(isWanted)
    }
    let key = KEY
    const get = async (path: string) => (await fetch(url + path, { headers: bearer(key) })).text()
    const stats = async () => JSON.parse(await get('/stats')) as Stats
    const publish = async (data: unknown) => {
      const headers = { ...bearer(key), 'content-type': 'application/json' }
      const { status } = await fetch(`${url}/broadcast`, { method: 'POST', headers, body: JSON.stringify({ data }) })
      return status
    }
    let users = 0
    const open = (lastEventId?: string) =>
      StreamClient.open(`${url}/events`, {
        lastEventId,
        headers: bearer(tokenOf(`user-${++users}`, {}, { key: SECRET }))
      })
    const clients: StreamClient[] = []

    // The primary process passes each connection to a worker that is free.
    while (clients.length < 12) {
      const client = await open()
      await client.event('hub.welcome')
      clients.push(client)
    }
    t.equal(await publish('from one worker'), 202)
    for (const client of clients) t.equal((await client.count(1))[0]?.data, 'from one worker')
    const counts = await stats()
    t.match(counts, {
      streams: clients.length,
      opened: clients.length,
      nodes: 2,
      workers: [{ worker: 1 }, { worker: 2 }]
    })
    for (const { streams } of counts.workers) t.ok(streams > 0)
    t.equal(
      counts.workers.reduce((sum, { streams }) => sum + streams, 0),
      clients.length
    )

    const metrics = await get('/metrics')
    for (const worker of [1, 2]) {
      t.match(metrics, new RegExp(`^sse_hub_streams\\{state="live",worker="${worker}"\\} [1-9]`, 'm'))
      t.match(metrics, new RegExp(`^nodejs_version_info\\{.*worker="${worker}"\\} 1$`, 'm'))
      t.match(metrics, new RegExp(`^sse_hub_append_seconds_bucket\\{le="\\+Inf",worker="${worker}"\\} \\d`, 'm'))
    }
    t.equal(metrics.match(/^# TYPE sse_hub_streams gauge$/gm)?.length, 1)
    t.notMatch(metrics, /null|undefined/)

    // A worker learns a moment later of streams that another one has opened.
    for (let refused = 0; refused < 4; ) {
      const more = await open()
      await more.until(() => more.events.length > 0, 'an answer')
      refused = more.events[0]?.event === 'hub.close' ? refused + 1 : 0
      if (refused > 0) t.match(more.events[0]?.data, '"limit"')
      more.cut()
      await more.end()
    }

    writeFileSync(keys, `new:${NEXT_KEY}:publish,read\n`)
    server.child.kill('SIGHUP')
    const reloads = await logged(({ msg }) => msg === 'the keys were read again', 2)
    t.same(reloads.map(({ worker }) => worker).sort(), [1, 2])
    for (let call = 0; call < 4; call++) t.equal(await publish('with the old key'), 401)
    key = NEXT_KEY

    const serving = await logged(({ msg }) => msg === 'a worker serves', 2)
    const { process: pid, worker: dead } = serving[0]
    process.kill(pid, 'SIGKILL')
    const held = counts.workers.find(({ worker }) => worker === dead)?.streams as number
    const isCut = (client: StreamClient) => client.isEnded
    for (;;) {
      if (clients.filter(isCut).length === held) break
      await Promise.race(clients.filter((client) => !isCut(client)).map((client) => client.end()))
    }
    t.equal(await publish('missed'), 202)
    const again = await logged(({ msg, worker }) => msg === 'a worker serves' && worker === dead, 2)
    t.not(again[1].process, pid)
    for (const client of clients.filter(isCut)) {
      const back = await open(client.lastEventId)
      t.same(
        (await back.count(1)).map(({ data }) => data),
        ['missed']
      )
      clients[clients.indexOf(client)] = back
    }
    for (const client of clients) t.equal((await client.count(1)).at(-1)?.data, 'missed')

    t.equal(await server.stop('SIGTERM'), 0)
    for (const client of clients) {
      await client.end()
      t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"shutdown","reconnect":true}' })
    }
    for (const { process: pid } of lines().filter(({ msg }) => msg === 'a worker serves'))
      t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
    t.equal(server.stderr, '')
    t.match(server.stdout, /"workers":2.*"msg":"the hub serves"/)
    t.equal(server.stdout.match(/fastify-sse-hub: open/g)?.length, 1)
  }
)
