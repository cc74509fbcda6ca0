import fastifySse from '@fastify/sse'
import Fastify from 'fastify'
import { payloadOf, serve } from './control.mjs'

const app = Fastify()
await app.register(fastifySse, {
  heartbeatInterval: Number(process.env.BENCH_HEARTBEAT ?? 15_000),
  serializer: (data) => data
})
const everyone = new Set()
const users = new Map()
let id = 0

app.get('/events', { sse: true }, async (request, reply) => {
  const { user } = request.query
  reply.sse.keepAlive()
  await reply.sse.send({ data: 'welcome' })
  everyone.add(reply.sse)
  users.set(user, reply.sse)
  reply.sse.onClose(() => {
    everyone.delete(reply.sse)
    users.delete(user)
  })
})
const send = (stream, event) => stream.send(event).catch(() => {})
app.post('/broadcast', async (request, reply) => {
  const event = { id: String(++id), data: payloadOf(request.body) }
  for (const stream of everyone) send(stream, event)
  reply.code(202)
  return { streams: everyone.size }
})
app.post('/users/:user/events', async (request, reply) => {
  const stream = users.get(request.params.user)
  if (stream) send(stream, { id: String(++id), data: payloadOf(request.body) })
  reply.code(202)
  return { streams: 1 }
})
await serve(app, (user, data) => send(users.get(user), { id: String(++id), data }))
