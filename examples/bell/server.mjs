// A bell with a number: notifications in the inbox of a user, and what was read, on all devices.
import Fastify from 'fastify'
import sseHub, { hubRoutes } from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub, {
  // A name in the URL is for a first try only: the example `session-login` identifies users.
  authenticate: ({ query }) => (typeof query.user === 'string' ? { user: query.user } : undefined)
})
// `GET /hub-api/events`, and `/hub-api/me/inbox` and `/hub-api/me/read` for the user's own inbox.
await app.register(hubRoutes, { prefix: '/hub-api' })
await app.register(pages, { folder: import.meta.dirname })

const text = { type: 'string', minLength: 1, maxLength: 1_000 }
const body = { type: 'object', required: ['by', 'text'], properties: { by: text, text } }
app.post('/users/:user/comments', { schema: { body } }, async (request, reply) => {
  const { by, text } = request.body
  const draft = { event: 'comment', data: { by, text }, inbox: true }
  return reply.code(201).send(await app.sse.send(request.params.user, draft))
})

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
