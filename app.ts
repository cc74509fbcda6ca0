import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { corsPlugin } from './plugins/cors.ts'
import { demoUiPlugin } from './plugins/demo-ui.ts'
import { type SseHubOptions, type StreamIdentity, sseHub } from './plugins/sse-hub.ts'
import { hubRoutes } from './routes/hub-routes.ts'

export interface HubAppOptions {
  /** What the hub itself is told. */
  readonly hub?: SseHubOptions | undefined
  /** Origins whose pages may use the hub; none but its own if left out. */
  readonly corsOrigins?: readonly string[] | undefined
}

/**
 * The standalone hub as one plugin: the hub, its HTTP API and the demo page, open to whoever can reach it. Everything about
 * the process is in `server.ts`.
 */
async function app(instance: FastifyInstance, options: HubAppOptions): Promise<void> {
  const { hub = {}, corsOrigins = [] } = options
  if (corsOrigins.length > 0) await instance.register(corsPlugin, { origins: corsOrigins })
  await instance.register(sseHub, { authenticate: identityOfQuery, authorizeTopic: () => true, ...hub })
  await instance.register(hubRoutes, { authorizePublish: () => true, demo: true })
  await instance.register(demoUiPlugin)
}

/** Anybody is who he says he is: for a hub that only this machine can reach, or that stands behind a proxy that checks. */
function identityOfQuery(request: FastifyRequest): StreamIdentity | undefined {
  const { user } = request.query as { user?: unknown }
  return typeof user === 'string' ? { user } : undefined
}

export const hubApp = fp(app, { fastify: '5.x', name: 'fastify-sse-hub-app' })
