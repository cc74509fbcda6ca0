import type { Socket } from 'node:net'
import type { SharedCounts } from '../../services/shared-counts.ts'

const NAME = 'connections'

/**
 * Limits the connections of a worker of `node:cluster`. Node's own limit makes a worker pass a connection back, and if all workers
 * are full, they pass it around without an end.
 */
export class WorkerConnections {
  readonly #limit: number
  readonly #counts: SharedCounts | undefined
  #open = 0
  /** One function for all sockets: a closure for each would cost memory per idle stream. */
  readonly #onClose = () => this.#change(-1)

  /** @param counts the connections of other workers, if the limit is for all of them. */
  constructor(limit: number, counts: SharedCounts | undefined) {
    this.#limit = limit
    this.#counts = counts
  }

  /** Counts a connection until it closes; false if the limit is reached. */
  admit(socket: Socket): boolean {
    if (this.#open + (this.#counts?.elsewhere(NAME) ?? 0) >= this.#limit) return false
    this.#change(1)
    socket.on('close', this.#onClose)
    return true
  }

  #change(by: number): void {
    this.#open += by
    this.#counts?.add(NAME, by)
  }
}
