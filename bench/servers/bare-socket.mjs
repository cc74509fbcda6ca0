import Fastify from 'fastify'
import { control, payloadOf } from './control.mjs'

// The floor: one shared buffer, written straight to each socket, nothing around it. FRAME_BYTES makes it as large as the hub's.
const app = Fastify()
const everyone = new Set()
let id = 0

app.get('/events', (request, reply) => {
  reply.hijack()
  const { socket } = request.raw
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 2000\n\n')
  everyone.add(socket)
  socket.on('close', () => everyone.delete(socket))
})
app.post('/broadcast', async (request, reply) => {
  const bytes = Buffer.from(`id: ${String(++id).padStart(16, '0')}\ndata: ${payloadOf(request.body)}\n\n`)
  for (const socket of everyone) socket.write(bytes)
  reply.code(202)
  return { streams: everyone.size }
})
await app.listen({ port: 0, host: '127.0.0.1' })
control({ port: app.server.address().port, name: 'bare socket.write' })
