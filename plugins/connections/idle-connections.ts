import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** A connection that was used more recently may have its next request under way, which closing it would lose, in milliseconds. */
const SPARED = 5_000

/**
 * HTTP/1.1 connections that wait for their next request, the longest idle first. Node's `closeIdleConnections()` closes
 * those that were used a moment ago as well: a client that reuses one gets a reset instead of an answer.
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

  /** Forgets connections that were closed. With `close`, ends those that have been idle for five seconds. */
  sweep(close: boolean, isBusy: (socket: Socket) => boolean): void {
    const until = this.#now() - SPARED
    for (const [socket, since] of this.#since) {
      if (close && since <= until && !isBusy(socket)) socket.destroy()
      if (socket.destroyed) this.#since.delete(socket)
    }
  }
}
