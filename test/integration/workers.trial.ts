import { once } from 'node:events'
import { connect } from 'node:http2'
import { connect as connectTo, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { effort } from '../support/effort.ts'
import { freePort } from '../support/free-port.ts'
import { linkedHost } from '../support/linked-host.ts'
import { ROOT } from '../support/packed-host.ts'
import { costOf } from '../support/process-cost.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { selfSigned } from '../support/self-signed.ts'
import { publish, ServerProcess } from '../support/server-process.ts'
import { SteadyLoad } from '../support/steady-load.ts'
import { StreamClient } from '../support/stream-client.ts'

/** How often a worker is killed. */
const KILLS = Number(process.env.WORKER_KILLS ?? effort(3, 8))
const USERS = 4
/** As users start it. Each server is three processes, which would be compiled as they start otherwise. */
const COMMAND = [process.execPath, join(await compiledHub(), 'standalone', 'command.js')]

t.setTimeout(480_000 + KILLS * 20_000)

interface Line {
  readonly msg: string
  readonly worker: number
  readonly process: number
}

/** A server with workers, and the log lines of its primary process about them. */
class WorkerServer extends ServerProcess {
  constructor(t: Test, redis: RedisServer, env: Record<string, string> = {}, command = COMMAND) {
    super(t, { HUB_WORKERS: '2', HUB_STORE: redis.url, LOG_LEVEL: 'info', HUB_RETRY: '100', ...env }, command)
  }

  get lines(): Line[] {
    return this.stdout.split('\n').flatMap((line) => (/^\{.*\}$/.test(line) ? [JSON.parse(line)] : []))
  }

  /** The process of each worker that serves, the newest last. */
  async serving(count: number): Promise<Line[]> {
    const found = () => this.lines.filter(({ msg }) => msg === 'a worker serves')
    while (found().length < count) await once(this.child.stdout as NodeJS.ReadableStream, 'data')
    return found()
  }
}

async function startRedis(t: Test): Promise<RedisServer> {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  return redis
}

const settings = { skip: withoutRedis }

t.test('workers are killed under load, and every client gets each event once and in order', settings, async (t) => {
  t.comment(`WORKER_KILLS=${KILLS}`)
  const server = new WorkerServer(t, await startRedis(t))
  const url = await server.url()
  const load = await SteadyLoad.start(t, url, USERS)
  for (let kill = 0; kill < KILLS; kill++) {
    await load.goOn()
    const { process: pid, worker } = (await server.serving(2 + kill)).findLast(
      (line) => line.worker === (kill % 2) + 1
    ) as Line
    process.kill(pid, 'SIGKILL')
    await load.goOn()
    t.equal((await server.serving(3 + kill)).at(-1)?.worker, worker, `kill ${kill + 1}: it is replaced`)
  }
  await load.goOn()
  await load.stop()
  t.ok(load.clients.some(({ client }) => client.of('hub.welcome').length > 1))
  const events = await load.check(t)
  const kinds = load.clients.length / USERS
  t.comment(`${events * kinds} events received once, ${KILLS} kills, ${load.retries} retries of publishers`)
  t.equal(await server.stop('SIGTERM'), 0)
})

t.test('workers serve HTTPS and HTTP/2, and a stop in order ends their streams for now', settings, async (t) => {
  const folder = t.testdir(selfSigned())
  const tls = { HUB_TLS_CERT: join(folder, 'cert'), HUB_TLS_KEY: join(folder, 'key') }
  const server = new WorkerServer(t, await startRedis(t), tls)
  const url = await server.url()
  t.match(url, /^https:/)
  const texts = await Promise.all(
    Array.from({ length: 6 }, async (_, at) => {
      const session = connect(url, { rejectUnauthorized: false })
      session.on('error', () => {})
      t.teardown(() => session.destroy())
      const stream = session.request({ ':path': `/events?user=user${at}` })
      let text = ''
      stream.setEncoding('utf8').on('data', (data) => {
        text += data
        stream.emit('more')
      })
      while (!text.includes('hub.welcome')) await once(stream, 'more')
      const ended = once(stream, 'close')
      return async () => {
        await ended
        return text
      }
    })
  )
  t.equal(await server.stop('SIGTERM'), 0)
  for (const text of texts) t.match(await text(), '"reason":"shutdown","reconnect":true')
  t.equal(server.stderr, '')
})

t.test('during the drain delay no worker is ready, and another signal ends the delay of all', settings, async (t) => {
  // With a setting as an option.
  const command = [...COMMAND, '--workers', '2']
  const env = { HUB_WORKERS: '', HUB_DRAIN_DELAY: '600000' }
  const server = new WorkerServer(t, await startRedis(t), env, command)
  const url = await server.url()
  const count = (await server.serving(1)).length
  const status = (path: string) => fetch(url + path, { headers: { connection: 'close' } }).then(({ status }) => status)
  for (let call = 0; call < 4; call++) t.equal(await status('/health/ready'), 200)
  const client = await StreamClient.open(`${url}/events?user=alice`)
  await client.event('hub.welcome')
  const first = performance.now()
  server.child.kill('SIGTERM')
  const waiting = () => server.lines.filter(({ msg }) => msg.startsWith('not ready; streams end in 600000 ms'))
  while (waiting().length < count) await once(server.child.stdout as NodeJS.ReadableStream, 'data')
  server.child.kill('SIGTERM')
  for (let call = 0; call < 4; call++) t.equal(await status('/health/ready'), 503)
  await publish(url, '/users/alice/events', 'still served')
  t.equal((await client.count(1))[0]?.data, 'still served')
  while (performance.now() - first < 600) await status('/health/live')
  t.equal(await server.stop('SIGTERM'), 0)
  await client.end()
  t.equal(client.events.at(-1)?.data, '{"reason":"shutdown","reconnect":true}')
  t.equal(server.stderr, '')
})

t.test('workers that cannot start end the server, with one message', settings, async (t) => {
  const redis = await startRedis(t)
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const away = `redis://hub:secret@127.0.0.1:${await freePort()}`
  for (const [env, message] of [
    [{ HUB_STORE: 'memory' }, /^fastify-sse-hub: HUB_WORKERS needs a Redis [^\n]*\n$/],
    [{ HUB_STORE: away }, /^fastify-sse-hub: HUB_STORE cannot be opened: [^\n]*\n$/],
    [{ PORT: String(port) }, /^fastify-sse-hub: PORT cannot be listened on: [^\n]*\n$/],
    [{ HUB_TLS_CERT: '/nowhere', HUB_TLS_KEY: '/nowhere' }, /^fastify-sse-hub: HUB_TLS_CERT cannot be read: [^\n]*\n$/]
  ] as const) {
    const server = new WorkerServer(t, redis, env as Record<string, string>)
    t.equal(await server.ended(), 1)
    t.match(server.stderr, message)
    t.notMatch(server.stdout + server.stderr, 'secret')
  }
})

t.test('the server ends when no worker can be started any more', settings, async (t) => {
  const redis = await startRedis(t)
  const server = new WorkerServer(t, redis)
  await server.url()
  await redis.kill()
  for (const { process: pid } of await server.serving(2)) process.kill(pid, 'SIGKILL')
  t.equal(await server.ended(), 1)
  t.match(server.stderr, /^fastify-sse-hub: no worker can be started any more: HUB_STORE cannot be opened/)
  t.match(server.stdout, 'another one takes its place in 400 ms')
})

t.test('workers do not outlive a primary process that is killed', settings, async (t) => {
  const server = new WorkerServer(t, await startRedis(t))
  const url = await server.url()
  const client = await StreamClient.open(`${url}/events?user=alice`)
  await client.event('hub.welcome')
  server.child.kill('SIGKILL')
  await client.end()
  await server.ended()
  for (const { process: pid } of await server.serving(2)) {
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
    t.notOk(isAlive(pid))
  }
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

t.test('the limit of connections holds over all workers, and full workers stay idle', settings, async (t) => {
  const limit = 6
  const server = new WorkerServer(t, await startRedis(t), { HUB_MAX_CONNECTIONS: String(limit) })
  const url = await server.url()
  // A request each, so that the connection is open and not only about to be. A refused one can be reset before it is open.
  const isServed = async () => {
    const socket = connectTo(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    socket.write('GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
    const served = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true)).once('close', () => resolve(false))
    })
    return { socket, served }
  }
  for (let at = 0; at < limit; at++) t.ok((await isServed()).served)
  // A worker learns a moment later of connections of the other one.
  for (let refused = 0; refused < 4; ) {
    const { socket, served } = await isServed()
    refused = served ? 0 : refused + 1
    socket.destroy()
  }
  const { cpu } = costOf(server.child.pid as number)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const used = costOf(server.child.pid as number).cpu - cpu
  t.ok(used < 0.5, `the primary process used ${used} s of CPU in a second`)
  t.equal(await server.stop('SIGTERM'), 0)
})

t.test('a worker that is stopped in order is replaced', settings, async (t) => {
  const server = new WorkerServer(t, await startRedis(t))
  await server.url()
  const [{ process: pid, worker }] = (await server.serving(2)) as [Line, Line]
  process.kill(pid, 'SIGTERM')
  const [, , again] = await server.serving(3)
  t.equal(again?.worker, worker)
  t.notOk(isAlive(pid))
  t.equal(await server.stop('SIGTERM'), 0)
})

t.test('a worker that hangs is killed and replaced', settings, async (t) => {
  const server = new WorkerServer(t, await startRedis(t))
  const url = await server.url()
  const [{ process: pid, worker }] = (await server.serving(2)) as [Line, Line]
  process.kill(pid, 'SIGSTOP')
  // The primary process asks twelve times, every five seconds.
  const [, , again] = await server.serving(3)
  t.equal(again?.worker, worker)
  t.match(server.stdout, `"worker":${worker},"process":${pid},"msg":"a worker hangs, and is killed"`)
  t.equal((await fetch(`${url}/health/live`, { headers: { connection: 'close' } })).status, 200)
  t.equal(await server.stop('SIGTERM'), 0)
})

t.test('the example of a host with workers serves one hub, and replaces a worker', settings, async (t) => {
  const redis = await startRedis(t)
  const host = await linkedHost(t, join(ROOT, 'examples', 'workers'))
  const env = { PORT: String(await freePort()), REDIS_URL: redis.url, WORKERS: '2' }
  const server = new ServerProcess(t, env, [process.execPath, join(host, 'server.mjs')])
  const serving = async (count: number) => {
    const found = () => [...server.stdout.matchAll(/^worker (\d+) serves (\S+)\/$/gm)]
    while (found().length < count) await once(server.child.stdout as NodeJS.ReadableStream, 'data')
    return found()
  }
  const [[, pid = '', url = ''] = []] = await serving(2)
  // Connections are dealt in turn, so these are streams of both workers.
  const clients = await Promise.all([1, 2, 3, 4].map(() => StreamClient.open(`${url}/events?user=alice`)))
  for (const client of clients) await client.event('hub.welcome')
  await publish(url, '/users/alice/events', 'to all')
  for (const client of clients) t.equal((await client.count(1))[0]?.data, 'to all')
  process.kill(Number(pid), 'SIGKILL')
  await Promise.race(clients.map((client) => client.end()))
  t.equal((await serving(3)).length, 3)
  await publish(url, '/users/alice/events', 'again')
  for (const client of clients.filter(({ isEnded }) => !isEnded)) t.equal((await client.count(2))[1]?.data, 'again')
  t.equal(await server.stop('SIGTERM'), 0)
  t.match(server.stderr, /^worker \d+ has ended \(SIGKILL\)\n$/)
})
