/** The wait before the first welcome, in milliseconds. */
const DEFAULT_RETRY = 1_000
/** The longest wait that failures lead to. */
const LONGEST_WAIT = 30_000
/** A stream that was open for so long ends the row of failures. */
const STABLE = 60_000
/** The longest wait that a server may ask for. */
const MAX_RETRY = 3_600_000

/** How long to wait before the next attempt: the server's reconnection time, and full jitter on top after failures in a row. */
export class BackOff {
  readonly #random: () => number
  #retry = DEFAULT_RETRY
  #inARow = 0

  constructor(random: () => number) {
    this.#random = random
  }

  /** The reconnection time that the server sent. */
  set retry(milliseconds: number) {
    this.#retry = Math.min(milliseconds, MAX_RETRY)
  }

  /**
   * The wait after a stream that was open for so many milliseconds, and after an answer that asked for `atLeast`.
   */
  next(openFor: number, atLeast = 0): number {
    if (openFor >= STABLE) this.#inARow = 0
    const longest = Math.min(LONGEST_WAIT, this.#retry * 2 ** this.#inARow++)
    const wait = this.#retry + this.#random() * Math.max(0, longest - this.#retry)
    return Math.max(wait, Math.min(atLeast, MAX_RETRY))
  }
}
