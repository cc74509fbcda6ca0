import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Guard } from './guard.ts'

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

/** `GET /stats`: counts of this node, and `GET /settings`: its settings in force. */
export function statsRoutes(app: FastifyInstance, guard: Guard, settings: object = {}): void {
  const onRequest = guard(() => [{ verb: 'read' }])

  app.get('/stats', { onRequest }, async () => ({
    ...app.sse.stats(),
    ...app.sse.observe(),
    connections: await connectionsOf(app)
  }))

  app.get('/settings', { onRequest }, async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return { ...app.sse.settings(), ...settings }
  })
}

/** The open connections of the server, and its limit; null without one. */
function connectionsOf({ server }: FastifyInstance): Promise<{ open: number; max: number | null }> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, open) => {
      if (error) reject(error)
      else resolve({ open, max: server.maxConnections || null })
    })
  })
}
