import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { systemClock } from '../../services/clock.ts'
import { effort } from '../support/effort.ts'
import { Random } from '../support/random.ts'

/** Number of connections that open and close. */
const CYCLES = Number(process.env.CHURN_CYCLES ?? effort(1_500, 20_000))
const SEED = Number(process.env.CHURN_SEED ?? Date.now() % 1_000_000)
const AT_A_TIME = 50
/** Maximum growth of the heap, in bytes, for any number of cycles. */
const ALLOWANCE = 2_000_000
/** How long closed resources may take to be freed, in milliseconds. */
const PATIENCE = 20_000

t.setTimeout(60_000 + CYCLES * 10)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** How a client disconnects, with weights. */
const WAYS = {
  /** Stays until its welcome, and closes. */
  politely: 30,
  /** Stays, and resets the connection. */
  abruptly: 20,
  /** Stays, closes its sending side, and waits for the server to close. */
  halfway: 10,
  /** Sends a request, and closes before the answer. */
  early: 15,
  /** Closes in the middle of its request. */
  unfinished: 10,
  /** Is closed for good. */
  kicked: 10,
  /** Follows a topic to its end. */
  finished: 5
}

interface Server {
  readonly app: FastifyInstance
  readonly port: number
  /** The running timers of the hub. */
  readonly timers: Set<symbol>
}

async function startServer(): Promise<Server> {
  const timers = new Set<symbol>()
  const every = (interval: number, tick: () => void) => {
    const timer = Symbol('timer')
    timers.add(timer)
    const stop = systemClock.every(interval, tick)
    return () => {
      timers.delete(timer)
      stop()
    }
  }
  const app = Fastify()
  await app.register(sseHub, { clock: { ...systemClock, every }, maxStreamsPerUser: 0 })
  app.get('/events', async (request, reply) => {
    const { user } = request.query as { user: string }
    // Some clients are gone when they are authenticated.
    await new Promise((resolve) => setImmediate(resolve))
    return app.sse.connect(request, reply, { user, topics: ['news'], expiresAt: Date.now() + 3_600_000 })
  })
  app.get('/task', (request, reply) => app.sse.follow(request, reply, 'task'))
  await app.sse.publish('task', { data: 'done', final: true })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port, timers }
}

/** Connects, and resolves when the socket is closed. */
async function cycle({ app, port }: Server, way: keyof typeof WAYS, user: string): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: way === 'halfway' })
  const gone = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {})
  await once(socket, 'connect')
  const path = way === 'finished' ? '/task' : `/events?user=${user}`
  const asking = `GET ${path} HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n`
  socket.write(way === 'unfinished' ? asking : `${asking}\r\n`)
  if (way === 'early') setImmediate(() => socket.destroy())
  else if (way === 'unfinished') socket.destroy()
  else if (way === 'finished') await untilText(socket, 'hub.close')
  else {
    await untilText(socket, 'hub.welcome')
    if (way === 'politely') socket.destroy()
    else if (way === 'abruptly') socket.resetAndDestroy()
    else if (way === 'halfway') socket.end()
    else await app.sse.disconnect(user)
  }
  socket.resume()
  if (way === 'halfway') socket.once('end', () => socket.destroy())
  if (way === 'kicked' || way === 'finished') socket.once('end', () => socket.end())
  await gone
}

function untilText(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve) => {
    let seen = ''
    const read = (bytes: Buffer) => {
      seen += bytes.toString('latin1')
      if (!seen.includes(text)) return
      socket.off('data', read)
      resolve()
    }
    socket.on('data', read)
    socket.once('close', () => resolve())
  })
}

async function churn(server: Server, cycles: number, random: Random): Promise<void> {
  let left = cycles
  const one = async () => {
    while (left-- > 0) await cycle(server, random.weighted(WAYS), `user ${left % 1_000}`.replace(' ', '-'))
  }
  const crowd = Array.from({ length: AT_A_TIME }, one)
  // Meanwhile there are events for the clients.
  const publishing = setInterval(() => server.app.sse.publish('news', { data: 'x', transient: true }), 20)
  await Promise.all(crowd)
  clearInterval(publishing)
}

/** Counts all resources that a stream could leave behind. */
async function measure({ app, timers }: Server): Promise<Record<string, number>> {
  const { manager } = app.sse
  const until = performance.now() + PATIENCE
  const connections = () =>
    new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)))
  // The kernel reports closed connections with a delay.
  while (((await connections()) > 0 || manager.registry.size > 0) && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (let round = 0; round < 4; round++) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const listeners = app.server.eventNames().reduce((sum, name) => sum + app.server.listenerCount(name), 0)
  const resources = process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP') || name === 'Timeout')
  return {
    streams: app.sse.stats().streams,
    users: manager.registry.users,
    listeningToNews: [...manager.registry.listeners('t:news')].length,
    listeningToAll: [...manager.registry.listeners('everyone')].length,
    connections: await connections(),
    hubTimers: timers.size,
    serverListeners: listeners,
    processListeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    sockets: resources.filter((name) => name.startsWith('TCPSocket')).length,
    servers: resources.filter((name) => name.startsWith('TCPServer')).length,
    timeouts: resources.filter((name) => name === 'Timeout').length,
    heap: process.memoryUsage().heapUsed
  }
}

t.test(`after ${CYCLES} streams have opened and closed in every way, all resources are as before`, async (t) => {
  t.comment(`CHURN_CYCLES=${CYCLES} CHURN_SEED=${SEED}`)
  const warnings: string[] = []
  const onWarning = ({ name, message }: Error) => warnings.push(`${name}: ${message}`)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const server = await startServer()
  t.teardown(() => server.app.close())
  const random = new Random(SEED)
  // The warm-up excludes compiled code and one-time initialisation.
  await churn(server, 1_000, random)
  const { heap: heapBefore, ...before } = await measure(server)
  const started = performance.now()
  await churn(server, CYCLES, random)
  const seconds = (performance.now() - started) / 1_000
  const { heap: heapAfter, ...after } = await measure(server)

  const { opened, closed } = server.app.sse.stats()
  const growth = (heapAfter as number) - (heapBefore as number)
  t.comment(`${CYCLES} cycles in ${seconds.toFixed(1)} s, ${opened} streams opened, closed: ${JSON.stringify(closed)}`)
  t.comment(`heap ${heapBefore} before, ${heapAfter} after: ${growth}; ${JSON.stringify(after)}`)
  t.same(after, before)
  t.match(after, {
    streams: 0,
    users: 0,
    listeningToNews: 0,
    listeningToAll: 0,
    connections: 0,
    hubTimers: 0,
    sockets: 0
  })
  t.ok(growth < ALLOWANCE, `the heap is ${growth} bytes larger`)
  t.same(warnings, [])
  t.equal(
    Object.values(closed).reduce((sum, count) => sum + count, 0),
    opened,
    'every stream that was opened was closed for a reason'
  )
  t.ok(closed.client > CYCLES / 4 && closed.kicked > 0 && closed.finished > 0, 'the run had events')
})
