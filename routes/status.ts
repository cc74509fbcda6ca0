import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WorkerGroup, WorkerPart } from '../services/worker-group.ts'
import type { Guard } from './guard.ts'
import { type NodeStats, type ServerStats, serverStats } from './server-stats.ts'

/** Marks the routes for supervisors and load balancers. */
const PROBE = { config: { isProbe: true } as object }

/** Whether a request asks for liveness or readiness. Load balancers send the address as `Host`, or no `Host`. */
export function isProbe({ routeOptions }: FastifyRequest): boolean {
  return (routeOptions.config as { isProbe?: boolean }).isProbe === true
}

/** `GET /health/live` and `/health/ready`: liveness for a supervisor, readiness for a load balancer. */
export function healthRoutes(app: FastifyInstance): void {
  app.get('/health/live', PROBE, async () => ({ status: 'ok' }))

  app.get('/health/ready', PROBE, async (_request, reply) => {
    const isReady = await app.sse.ready()
    reply.code(isReady ? 200 : 503)
    return { status: isReady ? 'ok' : 'unavailable' }
  })
}

/** `OPTIONS /` is readiness, too: HAProxy's `option httpchk` sends it when no path is set. */
export function plainProbeRoute(app: FastifyInstance): void {
  app.options('/', PROBE, async (_request, reply) => {
    const isReady = await app.sse.ready()
    return reply
      .code(isReady ? 204 : 503)
      .header('allow', 'GET, HEAD, OPTIONS')
      .send()
  })
}

interface StatsOptions {
  /** Settings of the host. */
  readonly settings?: object | undefined
  /** The workers of the server, if there are several. */
  readonly workers?: WorkerGroup | undefined
}

/** `GET /stats`: counts of this node, or of all workers of the server, and `GET /settings`: the settings in force. */
export function statsRoutes(app: FastifyInstance, guard: Guard, { settings, workers }: StatsOptions): void {
  const onRequest = guard(() => [{ verb: 'read' }])
  const read = async (): Promise<NodeStats> => ({
    ...app.sse.stats(),
    ...app.sse.observe(),
    connections: await connectionsOf(app)
  })
  workers?.provide('stats', read)

  app.get('/stats', { onRequest }, () => (workers === undefined ? read() : readAll(workers)))

  app.get('/settings', { onRequest }, async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return { ...app.sse.settings(), ...settings }
  })
}

async function readAll(workers: WorkerGroup): Promise<ServerStats> {
  const parts = (await workers.collect('stats')) as readonly WorkerPart<NodeStats>[]
  return serverStats(parts, workers.maxConnections)
}

/** The open connections of the server, and its limit; null without one. */
function connectionsOf({ server }: FastifyInstance): Promise<NodeStats['connections']> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, open) => {
      if (error) reject(error)
      else resolve({ open, max: server.maxConnections || null })
    })
  })
}
