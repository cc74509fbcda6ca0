import type { Http2Session } from 'node:http2'
import { isHttp2, type RawRequest } from './response-sink.ts'

/** How long a client may take to close its end of a connection whose other end is closed, in milliseconds. */
const GRACE = 400

/**
 * The HTTP/2 sessions that streams came on. A client keeps its session when its streams have ended, and until Node 24 a
 * server that is being closed waits for it; Fastify ends sessions only when it is told to force connections closed.
 */
export class Http2Sessions {
  readonly #sessions = new Set<Http2Session>()

  /** Remembers the session of a request, if it has one, for as long as it lives. */
  add(request: RawRequest): void {
    const session = isHttp2(request) ? request.stream.session : undefined
    if (session === undefined || session.destroyed || this.#sessions.has(session)) return
    this.#sessions.add(session)
    session.once('close', () => this.#sessions.delete(session))
    endAfter(session)
  }

  /** Ends them as soon as what goes on in them has ended; nothing new begins. */
  close(): void {
    for (const session of this.#sessions) session.close()
  }
}

/** Closes the connection of a session that was closed, if its client does not. */
export function endAfter({ socket }: Http2Session): void {
  // Bound now, because a session that has been destroyed does not give its socket away any more.
  const { destroySoon } = socket
  socket.once('finish', () => setTimeout(destroySoon, GRACE).unref())
}
