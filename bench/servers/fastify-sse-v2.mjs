import Fastify from 'fastify'
import { FastifySSEPlugin } from 'fastify-sse-v2'
import { payloadOf, serve } from './control.mjs'

const app = Fastify()
await app.register(FastifySSEPlugin)
const everyone = new Set()
const users = new Map()
let id = 0

app.get('/events', (request, reply) => {
  const { user } = request.query
  reply.sse({ data: 'welcome' })
  everyone.add(reply)
  users.set(user, reply)
  request.raw.socket.on('close', () => {
    everyone.delete(reply)
    users.delete(user)
  })
})
app.post('/broadcast', async (request, reply) => {
  const event = { id: String(++id), data: payloadOf(request.body) }
  for (const stream of everyone) stream.sse(event)
  reply.code(202)
  return { streams: everyone.size }
})
app.post('/users/:user/events', async (request, reply) => {
  users.get(request.params.user)?.sse({ id: String(++id), data: payloadOf(request.body) })
  reply.code(202)
  return { streams: 1 }
})
await serve(app, (user, data) => users.get(user).sse({ id: String(++id), data }))
