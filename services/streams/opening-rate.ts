/** What was not used of so much time may be used at once, in milliseconds. */
const SPARE = 25_000

/**
 * How fast streams are opened under each name: so many a second on average. For each name a time is kept, by which what was
 * opened would be spread evenly; a name may be ahead of that by so much.
 */
export class OpeningRate {
  readonly #step: number
  // Two generations, the earlier of which goes as a whole: a name that was not used for as long has all to spare again.
  #recent = new Map<string, number>()
  #earlier = new Map<string, number>()
  #turnAt = Number.NEGATIVE_INFINITY

  /** @param perSecond how many openings a second each name has on average. */
  constructor(perSecond: number) {
    this.#step = 1_000 / perSecond
  }

  /** Counts an opening, unless it is one too many. */
  take(name: string, now: number): boolean {
    if (now >= this.#turnAt) this.#turn(now)
    const spread = Math.max(now, this.#recent.get(name) ?? this.#earlier.get(name) ?? now) + this.#step
    if (spread > now + SPARE) return false
    this.#recent.set(name, spread)
    return true
  }

  #turn(now: number): void {
    this.#earlier = now < this.#turnAt + SPARE ? this.#recent : new Map()
    this.#recent = new Map()
    this.#turnAt = now + SPARE
  }
}
