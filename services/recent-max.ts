/** The greatest value of the last one to two windows, so that a reader who comes once per window misses none. */
export class RecentMax {
  readonly #window: number
  #begun = Number.NEGATIVE_INFINITY
  #current = 0
  #before = 0

  /** @param window in milliseconds. */
  constructor(window: number) {
    this.#window = window
  }

  add(value: number, now: number): void {
    this.#turn(now)
    if (value > this.#current) this.#current = value
  }

  read(now: number): number {
    this.#turn(now)
    return Math.max(this.#current, this.#before)
  }

  #turn(now: number): void {
    const elapsed = now - this.#begun
    if (elapsed < this.#window) return
    this.#before = elapsed < 2 * this.#window ? this.#current : 0
    this.#current = 0
    this.#begun = now
  }
}
