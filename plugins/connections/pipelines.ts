import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Refusal } from '../../services/hub/refusals.ts'

const QUEUED = Symbol('sse hub queued requests')
const IN_TURN = Symbol('sse hub requests in this turn')
/** What tells Node's parser that no HTTP follows. */
const NOT_HTTP = 2

type Queue = Socket & { [QUEUED]?: number; [IN_TURN]?: number; readonly parser?: { onIncoming?: unknown } | null }

export interface PipelineOptions {
  /** Requests that a connection may queue behind one that is not answered yet. */
  readonly maxQueued: number
  readonly onCut: (reason: Refusal) => void
}

/**
 * Bounds how many requests an HTTP/1 connection sends without waiting for their answers. Node parses all that have arrived, up to
 * 64 KiB, before it serves another connection. It may answer requests with bodies meanwhile; those never queue, so requests are
 * counted per turn of the event loop as well.
 */
export class Pipelines {
  readonly #options: PipelineOptions
  /** Connections that have sent requests in this turn of the event loop. */
  readonly #inTurn: Queue[] = []

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /** Whether a request may be answered; cuts the connection if it queues too many. */
  admit({ socket }: IncomingMessage, response: ServerResponse): boolean {
    if (!this.#countInTurn(socket)) return false
    // With the socket it is the first in its queue.
    if (response.socket !== null) return true
    if (!this.#enqueue(socket)) return false
    response.once('finish', () => {
      ;(socket as Queue)[QUEUED] = ((socket as Queue)[QUEUED] as number) - 1
    })
    return true
  }

  /** Whether requests of a connection wait for their turn. */
  isBusy(socket: Socket): boolean {
    return ((socket as Queue)[QUEUED] ?? 0) > 0
  }

  /** Takes note of a request that Node has answered itself, because its connection has had all that it may. */
  dropped(socket: Socket): void {
    this.#enqueue(socket)
  }

  /** Counts a request of this turn. Cuts the connection if it has sent more than one and those that it may queue. */
  #countInTurn(socket: Queue): boolean {
    if (socket.destroyed) return false
    const count = (socket[IN_TURN] ?? 0) + 1
    if (count > this.#options.maxQueued + 1) {
      this.#cut(socket)
      return false
    }
    socket[IN_TURN] = count
    if (count === 1 && this.#inTurn.push(socket) === 1) setImmediate(() => this.#endTurn())
    return true
  }

  #endTurn(): void {
    for (const socket of this.#inTurn.splice(0)) socket[IN_TURN] = 0
  }

  #enqueue(socket: Queue): boolean {
    if (socket.destroyed) return false
    const queued = socket[QUEUED] ?? 0
    if (queued >= this.#options.maxQueued) {
      this.#cut(socket)
      return false
    }
    socket[QUEUED] = queued + 1
    return true
  }

  #cut(socket: Queue): void {
    this.#options.onCut('pipelined')
    socket.destroy()
    // Node would make a request and a response of each that has arrived, which costs seven times as much as to stop here. The
    // property is not documented; without it all works, and costs more.
    if (typeof socket.parser?.onIncoming === 'function') socket.parser.onIncoming = () => NOT_HTTP
  }
}
