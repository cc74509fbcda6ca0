/** A burst may use the unused openings of so much time, in milliseconds. */
const BURST = 25_000

/**
 * Limits how fast streams are opened under each name. For each name it keeps the time at which the openings so far would have
 * ended at an even rate. That time may be ahead of the present by the length of a burst.
 */
export class OpeningRate {
  readonly #step: number
  // Two generations. The earlier one is dropped as a whole: a name that was unused for so long may use a full burst again.
  #recent = new Map<string, number>()
  #earlier = new Map<string, number>()
  #turnAt = Number.NEGATIVE_INFINITY

  /** @param perSecond how many openings a second each name has on average. */
  constructor(perSecond: number) {
    this.#step = 1_000 / perSecond
  }

  /** Counts an opening. Returns false if it exceeds the rate. */
  take(name: string, now: number): boolean {
    if (now >= this.#turnAt) this.#turn(now)
    const spread = Math.max(now, this.#recent.get(name) ?? this.#earlier.get(name) ?? now) + this.#step
    if (spread > now + BURST) return false
    this.#recent.set(name, spread)
    return true
  }

  #turn(now: number): void {
    this.#earlier = now < this.#turnAt + BURST ? this.#recent : new Map()
    this.#recent = new Map()
    this.#turnAt = now + BURST
  }
}
