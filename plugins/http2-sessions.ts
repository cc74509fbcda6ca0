import type { Http2Session } from 'node:http2'
import { isHttp2, type RawRequest } from './response-sink.ts'

/** How long a client may take to close its end of a connection after the server closed the other, in milliseconds. */
const GRACE = 400

/**
 * The HTTP/2 sessions of streams. A client keeps its session when its streams have ended, and until Node 24 a closing server
 * waits for it. Fastify ends sessions only with the option `forceCloseConnections`.
 */
export class Http2Sessions {
  readonly #sessions = new Set<Http2Session>()

  /** Keeps the session of a request, if it has one, until it closes. */
  add(request: RawRequest): void {
    const session = isHttp2(request) ? request.stream.session : undefined
    if (session === undefined || session.destroyed || this.#sessions.has(session)) return
    this.#sessions.add(session)
    session.once('close', () => this.#sessions.delete(session))
    endAfter(session)
  }

  /** Closes each session gracefully: open requests finish, and no new one begins. */
  close(): void {
    for (const session of this.#sessions) session.close()
  }
}

/** Closes the connection of a session that was closed, if its client does not. */
export function endAfter({ socket }: Http2Session): void {
  // Read now: a destroyed session no longer gives access to its socket.
  const { destroySoon } = socket
  socket.once('finish', () => setTimeout(destroySoon, GRACE).unref())
}
