import Fastify from 'fastify'
import { payloadOf, serve } from './control.mjs'

// The floor: one shared buffer, as long as the hub's, written directly to each socket.
const app = Fastify()
const everyone = new Set()
const users = new Map()
let id = 0

app.get('/events', (request, reply) => {
  reply.hijack()
  const { socket } = request.raw
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 2000\n\n')
  everyone.add(socket)
  users.set(request.query.user, socket)
  socket.on('close', () => {
    everyone.delete(socket)
    users.delete(request.query.user)
  })
})
const frame = (body) => Buffer.from(`id: ${String(++id).padStart(18, '0')}\ndata: ${payloadOf(body)}\n\n`)
app.post('/broadcast', async (request, reply) => {
  const bytes = frame(request.body)
  for (const socket of everyone) socket.write(bytes)
  reply.code(202)
  return { streams: everyone.size }
})
app.post('/users/:user/events', async (request, reply) => {
  users.get(request.params.user)?.write(frame(request.body))
  reply.code(202)
  return { streams: 1 }
})
await serve(app, (user, data) => users.get(user).write(frame({ data })))
