import Fastify from 'fastify'
import { payloadOf, serve } from './control.mjs'

// A hand-written server: a loop of res.write over a set.
const app = Fastify()
const everyone = new Set()
const users = new Map()
let id = 0

app.get('/events', (request, reply) => {
  reply.hijack()
  const response = reply.raw
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write('retry: 2000\n\n')
  everyone.add(response)
  users.set(request.query.user, response)
  response.on('close', () => {
    everyone.delete(response)
    users.delete(request.query.user)
  })
})
const frame = (body) => `id: ${++id}\ndata: ${payloadOf(body)}\n\n`
app.post('/broadcast', async (request, reply) => {
  const text = frame(request.body)
  for (const response of everyone) response.write(text)
  reply.code(202)
  return { streams: everyone.size }
})
app.post('/users/:user/events', async (request, reply) => {
  users.get(request.params.user)?.write(frame(request.body))
  reply.code(202)
  return { streams: 1 }
})
await serve(app, (user, data) => users.get(user).write(frame({ data })))
