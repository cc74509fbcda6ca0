// The least app with a hub: a stream for each user, and a route that sends.
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)
await app.register(pages, { folder: import.meta.dirname })

// A name in the URL is for a first try only: the examples `session-login` and `tickets` identify users.
app.get('/events', (request, reply) => app.sse.connect(request, reply, { user: request.query.user }))

const body = { type: 'object', required: ['text'], properties: { text: { type: 'string', maxLength: 1_000 } } }
app.post('/users/:user/greetings', { schema: { body } }, (request) =>
  app.sse.send(request.params.user, { event: 'greeting', data: { text: request.body.text } })
)

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
