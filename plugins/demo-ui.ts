import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** Only what this origin serves, no inline script, no frame around it: what an event says is never code. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** `public/` stands beside `plugins/` in the sources, and beside `dist/` in the package. */
const ROOTS = ['../public', '../../public']

/** Serves the demo page at `/`. */
async function demoUi(app: FastifyInstance): Promise<void> {
  // Not sooner: a host that is bundled as CommonJS imports this module, and has no `import.meta`.
  const root = ROOTS.map((path) => join(import.meta.dirname, path)).find((folder) => existsSync(folder)) as string
  await app.register(fastifyStatic, {
    root,
    // A route for each file: any other path is for the hub's own 404, with a code.
    wildcard: false,
    cacheControl: false,
    setHeaders(reply) {
      reply.header('content-security-policy', CONTENT_SECURITY_POLICY)
      reply.header('x-content-type-options', 'nosniff')
      reply.header('referrer-policy', 'no-referrer')
      // Revalidated each time: a page of one version with scripts of another would be broken.
      reply.header('cache-control', 'no-cache')
    }
  })
}

export const demoUiPlugin = fp(demoUi, { fastify: '5.x', name: 'fastify-sse-hub-demo-ui' })
