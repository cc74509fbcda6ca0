import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'

const CLIENT = dirname(fileURLToPath(import.meta.resolve('fastify-sse-hub/client')))

/**
 * Serves the files of an example's folder `public` at `/`, `page.css`, and the browser client of the hub at `/hub/client.js`.
 * An app with a bundler needs none of this: there, pages import `fastify-sse-hub/client` by its name.
 */
export async function pages(app, { folder }) {
  app.addHook('onSend', async (_request, reply) => {
    reply.header('content-security-policy', "default-src 'self'; img-src 'self' data:")
  })
  await app.register(fastifyStatic, { root: [join(folder, 'public'), join(import.meta.dirname, 'look')] })
  const allowedPath = (path) => /^\/client(\.js|-shared\.js|\/chunk-\w+\.js)$/.test(path)
  await app.register(fastifyStatic, { root: CLIENT, prefix: '/hub/', allowedPath, decorateReply: false })
}
