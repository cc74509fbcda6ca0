import { createChannel, createSession } from 'better-sse'
import Fastify from 'fastify'
import { payloadOf, serve } from './control.mjs'

const app = Fastify()
const everyone = createChannel()
const users = new Map()
const options = { keepAlive: Number(process.env.BENCH_HEARTBEAT ?? 15_000), serializer: (data) => data }

app.get('/events', async (request, reply) => {
  reply.hijack()
  const session = await createSession(request.raw, reply.raw, options)
  everyone.register(session)
  const { user } = request.query
  if (!users.has(user)) users.set(user, createChannel())
  users.get(user).register(session)
})
app.post('/broadcast', async (request, reply) => {
  everyone.broadcast(payloadOf(request.body), 'message')
  reply.code(202)
  return { streams: everyone.sessionCount }
})
app.post('/users/:user/events', async (request, reply) => {
  users.get(request.params.user)?.broadcast(payloadOf(request.body), 'message')
  reply.code(202)
  return { streams: 1 }
})
await serve(app, (user, data) => users.get(user).broadcast(data, 'message'))
