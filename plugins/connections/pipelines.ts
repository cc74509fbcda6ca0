import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Refusal } from '../../services/hub/refusals.ts'

const QUEUED = Symbol('sse hub queued requests')
/** What tells Node's parser that no HTTP follows. */
const NOT_HTTP = 2

type Queue = Socket & { [QUEUED]?: number; readonly parser?: { onIncoming?: unknown } | null }

export interface PipelineOptions {
  /** Requests that a connection may queue behind one that is not answered yet. */
  readonly maxQueued: number
  readonly onCut: (reason: Refusal) => void
}

/** Bounds how many requests an HTTP/1 connection queues. Node parses all that have arrived, 64 KiB of them, before it pauses. */
export class Pipelines {
  readonly #options: PipelineOptions

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /** Whether a request may be answered; cuts the connection if it queues too many. */
  admit({ socket }: IncomingMessage, response: ServerResponse): boolean {
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
