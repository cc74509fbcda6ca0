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

/** `GET /stats`: counts of this node. */
export function statsRoute(app: FastifyInstance, guard: Guard): void {
  app.get('/stats', { onRequest: guard(() => [{ verb: 'read' }]) }, async () => app.sse.stats())
}
