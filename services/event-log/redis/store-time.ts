import type { Clock } from '../../clock.ts'

/** The time by the store's clock, by which TTLs are judged on all nodes, however wrong the clock of a node is. */
export class StoreTime {
  readonly #clock: Clock
  #offset: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The store has told its time, in milliseconds since the epoch, just now. */
  told(time: number): void {
    this.#offset = time - this.#clock.monotonic()
  }

  now(): number {
    return this.#offset === undefined ? this.#clock.now() : this.#clock.monotonic() + this.#offset
  }
}
