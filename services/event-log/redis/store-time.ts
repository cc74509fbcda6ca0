import type { Clock } from '../../clock.ts'

/**
 * The time by the store's clock, which decides about TTLs and lateness on all nodes, even if the clock of a node is wrong. It
 * is never ahead of the store, so that no event counts as older than it is.
 */
export class StoreTime {
  readonly #clock: Clock
  /** Lower bound of the offset from monotonic time to the store's time. */
  #offset: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Call it with the store's time, in milliseconds since the Unix epoch, in a reply to a command that was sent at `sentAt` in
   * monotonic time. The reply may have waited in a socket: it moves the estimate only if it contradicts it.
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
