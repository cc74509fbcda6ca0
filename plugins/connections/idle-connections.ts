import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** A connection that was used within this time is kept: its next request may be under way. In milliseconds. */
const MIN_IDLE = 5_000

/**
 * HTTP/1.1 connections that wait for their next request, the longest idle first. Node's `closeIdleConnections()` also closes
 * connections that were used a moment ago: a client that reuses one gets a reset instead of a response.
 */
export class IdleConnections {
  readonly #since = new Map<Socket, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** A request has arrived. */
  used({ socket }: IncomingMessage): void {
    this.#since.delete(socket)
  }

  /** A response was written to its end. */
  answered({ socket }: ServerResponse): void {
    if (socket === null) return
    this.#since.delete(socket)
    this.#since.set(socket, this.#now())
  }

  /** Removes closed connections. With `close`, destroys those that have been idle for five seconds. */
  sweep(close: boolean, isBusy: (socket: Socket) => boolean): void {
    const until = this.#now() - MIN_IDLE
    for (const [socket, since] of this.#since) {
      if (close && since <= until && !isBusy(socket)) socket.destroy()
      if (socket.destroyed) this.#since.delete(socket)
    }
  }
}
