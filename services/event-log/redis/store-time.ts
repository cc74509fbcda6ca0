import type { Clock } from '../../clock.ts'

/**
 * The time by the store's clock, by which TTLs and lateness are judged on all nodes, however wrong the clock of a node is. It is never
 * ahead of the store, so that nothing is taken for older than it is.
 */
export class StoreTime {
  readonly #clock: Clock
  /** What the store's clock is ahead of the clock that never jumps, at least. */
  #offset: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * The store has told its time, in milliseconds since the epoch, in an answer to what was sent at `sentAt` on the clock that
   * never jumps. The answer may have lain in a socket since: it moves the estimate only if that contradicts it.
   */
  observe(time: number, sentAt: number): void {
    const min = time - this.#clock.monotonic()
    const max = time + 1 - sentAt
    if (this.#offset === undefined || this.#offset < min || this.#offset > max) this.#offset = min
  }

  now(): number {
    return this.#offset === undefined ? this.#clock.now() : this.#clock.monotonic() + this.#offset
  }
}
