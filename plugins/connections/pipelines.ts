import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Refusal } from '../../services/hub/refusals.ts'

const QUEUED = Symbol('sse hub queued requests')
const IN_TURN = Symbol('sse hub requests in this turn')
/** The return value that tells Node's parser that no HTTP follows. */
const NOT_HTTP = 2

type Queue = Socket & { [QUEUED]?: number; [IN_TURN]?: number; readonly parser?: { onIncoming?: unknown } | null }

export interface PipelineOptions {
  /** Maximum number of requests that a connection may queue behind an unanswered one. */
  readonly maxQueued: number
  readonly onCut: (reason: Refusal) => void
}

/**
 * Bounds how many requests an HTTP/1 connection sends without waiting for their answers. Node parses all that have arrived,
 * up to 64 KiB, before it serves another connection. It may answer requests with bodies meanwhile; those never queue, so
 * requests are counted per turn of the event loop as well.
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
    // Only the first response in the queue has the socket.
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

  /** Counts a request that Node has answered itself, because its connection has reached its maximum of requests. */
  dropped(socket: Socket): void {
    this.#enqueue(socket)
  }

  /** Counts a request of this turn. Cuts the connection if it has sent more than one beyond those that it may queue. */
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
    // Node would create a request and a response for each that has arrived, at seven times the cost. The property is not
    // documented; without it the result is the same, at a higher cost.
    if (typeof socket.parser?.onIncoming === 'function') socket.parser.onIncoming = () => NOT_HTTP
  }
}
