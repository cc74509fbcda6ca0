import { Server as HttpServer } from 'node:http'
import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { endAfter } from './http2-sessions.ts'

/** How long an open request may take when the server closes, in milliseconds. */
const GRACE = 3_000
/** Interval at which connections that became idle meanwhile are closed, in milliseconds. */
const SWEEP = 50

/**
 * Closes the connections of a server in order and in bounded time. Open requests finish; idle connections close at once;
 * those that do not end in time (a request without its last byte, a connection that a browser opened in advance) are cut,
 * because Node would wait for them for ever. Call it after the hub is registered, so that streams end first.
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

/** Connections of a plain HTTP/1.1 server: Node keeps the list. */
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

/** Connections of a TLS server, with HTTP/1.1 and HTTP/2. */
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
    // A browser keeps an idle session open; open requests finish after `close()`.
    for (const session of this.#sessions) if (!session.closed) session.close()
    // Node keeps the list of HTTP/1.1 connections here, too, but this server class lacks the method.
    HttpServer.prototype.closeIdleConnections.call(this.#server)
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
