import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { getHeapSnapshot } from 'node:v8'

// Prints the objects that an idle stream of the hub holds in the heap, and those of a response of `node:http` that was begun and
// never ended, by the difference of two heap snapshots: `npm run build && node bench/heap.mjs`.

const FIRST = 500
const STREAMS = 3_000
/** Smaller shares of a stream are not printed, in bytes. */
const SMALL = 24
const GROUPED = new Set(['string', 'concatenated string', 'array', 'code', 'number'])

const servers = {
  async hub() {
    const { default: Fastify } = await import('fastify')
    const { default: sseHub } = await import('../dist/index.js')
    const app = Fastify()
    await app.register(sseHub, { heartbeatInterval: 3_600_000 })
    app.get('/events', (request, reply) => app.sse.connect(request, reply, { user: request.query.user }))
    await app.listen({ host: '127.0.0.1', port: 0 })
    return app.server.address().port
  },
  async http() {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('retry: 2000\n\n')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return server.address().port
  }
}

/** The number and the bytes of all objects in the heap, by their kind. */
async function contents() {
  const pieces = []
  for await (const piece of getHeapSnapshot()) pieces.push(Buffer.from(piece))
  const { snapshot, nodes, strings } = JSON.parse(Buffer.concat(pieces).toString())
  const { node_fields: fields, node_types: types } = snapshot.meta
  const [type, name, size] = ['type', 'name', 'self_size'].map((field) => fields.indexOf(field))
  const found = new Map()
  for (let at = 0; at < nodes.length; at += fields.length) {
    const kind = types[type][nodes[at + type]]
    const key = GROUPED.has(kind) ? `(${kind})` : `${kind} ${strings[nodes[at + name]].slice(0, 50)}`
    const each = found.get(key) ?? { count: 0, bytes: 0 }
    each.count++
    each.bytes += nodes[at + size]
    found.set(key, each)
  }
  return found
}

/** In the process of a server: takes a snapshot for each message, and prints the difference of the two. */
async function serve(name) {
  process.send(await servers[name]())
  const [before, after] = [await snapshot(), await snapshot()]
  const rows = [...after]
    .map(([key, { count, bytes }]) => {
      const former = before.get(key) ?? { count: 0, bytes: 0 }
      return { key, count: (count - former.count) / STREAMS, bytes: (bytes - former.bytes) / STREAMS }
    })
    .sort((one, other) => other.bytes - one.bytes)
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0)
  console.log(`\n${name}: ${Math.round(total)} bytes of heap for each of ${STREAMS} streams`)
  for (const { key, count, bytes } of rows.filter((row) => row.bytes >= SMALL))
    console.log(`${bytes.toFixed(0).padStart(7)}  ${count.toFixed(1).padStart(5)}  ${key}`)
  process.exit()
}

async function snapshot() {
  await once(process, 'message')
  const found = await contents()
  process.send('taken')
  return found
}

async function open(port, from, count) {
  const sockets = []
  for (let at = from; at < from + count; at++) {
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET /events?user=u${at} HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n\r\n`)
    await once(socket, 'data')
    sockets.push(socket)
  }
  return sockets
}

const [role] = process.argv.slice(2)
if (role !== undefined) await serve(role)
else
  for (const name of Object.keys(servers)) {
    const server = fork(import.meta.filename, [name])
    const ended = once(server, 'exit')
    const [port] = await once(server, 'message')
    const sockets = await open(port, 0, FIRST)
    server.send('take')
    await once(server, 'message')
    sockets.push(...(await open(port, FIRST, STREAMS)))
    server.send('take')
    await ended
    for (const socket of sockets) socket.destroy()
  }
