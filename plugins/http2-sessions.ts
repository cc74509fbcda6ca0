import type { Http2Session } from 'node:http2'
import { isHttp2, type RawRequest } from './response-sink.ts'

/**
 * The HTTP/2 sessions that streams came on. A client keeps its session when its streams have ended, and until Node 24 a
 * server that is being closed waits for it; Fastify ends sessions only when it is told to force connections closed.
 */
export class Http2Sessions {
  readonly #sessions = new Set<Http2Session>()

  /** Remembers the session of a request, if it has one, for as long as it lives. */
  add(request: RawRequest): void {
    const session = isHttp2(request) ? request.stream.session : undefined
    if (session === undefined || this.#sessions.has(session)) return
    this.#sessions.add(session)
    session.once('close', () => this.#sessions.delete(session))
  }

  /** Ends them as soon as what goes on in them has ended; nothing new begins. */
  close(): void {
    for (const session of this.#sessions) session.close()
  }
}
