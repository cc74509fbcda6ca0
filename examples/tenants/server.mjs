// A hub for each tenant, in a context of its own: no broadcast, count or history crosses.
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** The tenants, each with its key, of a database in an app. */
const TENANTS = new Map([
  ['acme', 'acme-key'],
  ['globex', 'globex-key']
])

const app = Fastify({ logger: { level: 'warn' } })
await app.register(pages, { folder: import.meta.dirname })
for (const [tenant, key] of TENANTS) await app.register(tenantApp, { prefix: `/tenants/${tenant}`, tenant, key })

async function tenantApp(app, { tenant, key }) {
  // Fastify encapsulates plugins: `app.sse` is the hub of this tenant alone. Limits are those of the tenant, too.
  await app.register(sseHub, { maxStreams: 1_000, retention: { bytes: 8 * 2 ** 20 }, welcome: () => ({ tenant }) })

  // One tenant's key opens nothing of another. An app takes it from a header, or a cookie for each tenant's own host name.
  app.addHook('onRequest', async (request, reply) => {
    if (request.query.key !== key) return reply.code(401).send({ message: `This is not a key of ${tenant}` })
  })

  const querystring = { type: 'object', properties: { user: { type: 'string', maxLength: 64 } } }
  app.get('/events', { schema: { querystring } }, (request, reply) =>
    app.sse.connect(request, reply, { user: request.query.user })
  )

  const text = { type: 'string', minLength: 1, maxLength: 1_000 }
  const body = { type: 'object', required: ['text'], properties: { text } }
  app.post('/notices', { schema: { body } }, (request) =>
    app.sse.broadcast({ event: 'notice', data: request.body.text })
  )
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
