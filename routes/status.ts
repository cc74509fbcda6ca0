import type { FastifyInstance } from 'fastify'
import type { Guard } from './guard.ts'

/** `GET /health/live` and `/health/ready`: for whoever decides to restart this process, or to send it traffic. */
export function healthRoutes(app: FastifyInstance): void {
  app.get('/health/live', async () => ({ status: 'ok' }))

  app.get('/health/ready', async (_request, reply) => {
    const isReady = await app.sse.ready()
    reply.code(isReady ? 200 : 503)
    return { status: isReady ? 'ok' : 'unavailable' }
  })
}

/** `GET /stats`: counts of this node. */
export function statsRoute(app: FastifyInstance, guard: Guard): void {
  app.get('/stats', { preHandler: guard(() => [{ verb: 'read' }]) }, async () => app.sse.stats())
}
