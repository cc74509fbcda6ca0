import fastifyCors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

export interface CorsOptions {
  /** The origins whose pages may use the hub, exactly as browsers send them: `https://app.example`. */
  readonly origins: readonly string[]
}

/**
 * Allows pages of other origins, by an exact list: with credentials CORS allows no wildcard, and echoing each `Origin` would
 * allow every page. A host that has CORS of its own does not need this.
 */
async function cors(app: FastifyInstance, { origins }: CorsOptions): Promise<void> {
  await app.register(fastifyCors, {
    origin: [...origins],
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: ['Content-Type', 'Authorization', 'Cache-Control', 'Last-Event-ID', 'Idempotency-Key'],
    maxAge: 600
  })
}

export const corsPlugin = fp(cors, { fastify: '5.x', name: 'fastify-sse-hub-cors' })
