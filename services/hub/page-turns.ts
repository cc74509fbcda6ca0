import { Fifo } from '../fifo.ts'

/**
 * Lets one page of history be read, and serialized, in each turn of the event loop. A page has up to a million characters:
 * many callers that read at once would delay streams and publishers for the time of all their pages together.
 */
export class PageTurns {
  readonly #waiting = new Fifo<() => void>()
  #isTaken = false

  /** Resolves when the caller may read a page: at once if no other caller has read one in this turn. */
  async next(): Promise<void> {
    if (this.#isTaken) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#isTaken = true
    setImmediate(this.#free)
  }

  readonly #free = (): void => {
    const resolve = this.#waiting.shift()
    this.#isTaken = resolve !== undefined
    if (resolve === undefined) return
    setImmediate(this.#free)
    resolve()
  }
}
