import { Server as HttpServer } from 'node:http'
import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { endAfter } from './http2-sessions.ts'

/** How long a request that has begun may take when the server is closed, in milliseconds. */
const GRACE = 3_000
/** How often connections are looked for that have become idle meanwhile, in milliseconds. */
const SWEEP = 50

/**
 * Lets a server close in good time and order: what has been begun is finished, what has nothing to do is closed at once, and
 * what does not come to an end (a request without its last byte, a connection that a browser opened in advance) is cut, where
 * Node would wait for it for ever. To be called after the hub is registered, so that its streams are ended first.
 */
export function closeInOrder(app: FastifyInstance): void {
  const connections = app.server instanceof HttpServer ? new PlainConnections(app.server) : new TlsConnections(app)
  let sweep: NodeJS.Timeout | undefined
  let end: NodeJS.Timeout | undefined
  app.addHook('preClose', (done) => {
    connections.closeIdle()
    sweep = setInterval(() => connections.closeIdle(), SWEEP)
    end = setTimeout(() => connections.cut(), GRACE)
    done()
  })
  app.addHook('onClose', (_app, done) => {
    clearInterval(sweep)
    clearTimeout(end)
    done()
  })
}

/** Node keeps the list. */
class PlainConnections {
  readonly #server: HttpServer

  constructor(server: HttpServer) {
    this.#server = server
  }

  closeIdle(): void {
    this.#server.closeIdleConnections()
  }

  cut(): void {
    this.#server.closeAllConnections()
  }
}

/** Where HTTP/1.1 and HTTP/2 are spoken over TLS. */
class TlsConnections {
  readonly #server: FastifyInstance['server']
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<Http2Session>()

  constructor({ server }: FastifyInstance) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('session', (session: Http2Session) => {
      this.#sessions.add(session)
      session.once('close', () => this.#sessions.delete(session))
      endAfter(session)
    })
  }

  closeIdle(): void {
    // A browser keeps a session that has nothing to do open; what goes on in one is finished.
    for (const session of this.#sessions) if (!session.closed) session.close()
    // The list of HTTP/1.1 is kept by Node here, too, without a method of its own.
    HttpServer.prototype.closeIdleConnections.call(this.#server)
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
