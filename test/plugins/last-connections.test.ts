import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { closeInOrder } from '../../plugins/last-connections.ts'
import { selfSigned } from '../support/self-signed.ts'

const { cert, key } = selfSigned()
const REQUEST =
  'POST / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n'

interface Kind {
  readonly options: FastifyServerOptions & { http2?: boolean; https?: object }
  dial(port: number): Socket
  readonly connected: string
}

const KINDS: Record<string, Kind> = {
  HTTP: { options: {}, dial: (port) => connect({ port, host: '127.0.0.1' }), connected: 'connect' },
  TLS: {
    options: { http2: true, https: { cert, key, allowHTTP1: true } },
    dial: (port) => connectTls({ port, host: '127.0.0.1', ca: cert, ALPNProtocols: ['http/1.1'] }),
    connected: 'secureConnect'
  }
}

/** A server whose route answers once the body is complete. */
async function serve(t: Test, { options }: Kind) {
  const app = Fastify(options as FastifyServerOptions) as FastifyInstance
  closeInOrder(app)
  t.teardown(() => app.close())
  app.post('/', async ({ body }) => body)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port }
}

async function dial({ dial, connected }: Kind, port: number) {
  const socket = dial(port)
  const gone = once(socket, 'close')
  socket.on('error', () => {})
  await once(socket, connected)
  return { socket, gone }
}

for (const [name, kind] of Object.entries(KINDS)) {
  t.test(`${name}: open requests are finished, and idle connections do not keep a server open`, async (t) => {
    const { app, port } = await serve(t, kind)
    const begun = await dial(kind, port)
    begun.socket.write(REQUEST)
    const idle = await dial(kind, port)
    idle.socket.write(`${REQUEST}{}`)
    // This connection is the newer one, so the request of the older one has arrived.
    t.match(String((await once(idle.socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
    const closed = app.close()
    await idle.gone
    begun.socket.write('[]')
    t.match(String((await once(begun.socket, 'data'))[0]), /^HTTP\/1\.1 200 .*\[\]$/s)
    await begun.gone
    await closed
  })

  t.test(`${name}: connections without a request, or with an unfinished one, are cut`, async (t) => {
    const { app, port } = await serve(t, kind)
    const silent = await dial(kind, port)
    const endless = await dial(kind, port)
    endless.socket.write(REQUEST)
    const other = await dial(kind, port)
    other.socket.write(`${REQUEST}{}`)
    await once(other.socket, 'data')
    await app.close()
    await Promise.all([silent.gone, endless.gone, other.gone])
  })
}

t.test('HTTP/2: an open request is finished, and a session without requests ends', async (t) => {
  const { app, port } = await serve(t, KINDS.TLS as Kind)
  const sessions = [0, 1].map(() => connectHttp2(`https://127.0.0.1:${port}`, { ca: cert }))
  for (const session of sessions) session.on('error', () => {})
  await Promise.all(sessions.map((session) => once(session, 'connect')))
  const [busy, idle] = sessions as [(typeof sessions)[0], (typeof sessions)[0]]
  const gone = Promise.all(sessions.map((session) => once(session, 'close')))
  const begun = busy.request({ ':method': 'POST', ':path': '/', 'content-type': 'application/json' })
  begun.write('[')
  for (const session of sessions) await new Promise((resolve) => session.ping(resolve))
  const closed = app.close()
  await once(idle, 'close')
  begun.end(']')
  const [{ ':status': status }] = await once(begun, 'response')
  t.equal(status, 200)
  begun.resume()
  await gone
  await closed
})
