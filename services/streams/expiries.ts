import type { Clock } from '../clock.ts'
import { DeadlineHeap } from '../deadline-heap.ts'

/** How much of an identity's life its stream may end early, and how much that is at most, in milliseconds. */
const EXPIRY_SPREAD = 0.05
const MAX_EXPIRY_SPREAD = 30_000
/** By what part of its greatest age a stream may end before it must. */
const AGE_SPREAD = 1 / 4

export interface ExpiryInit {
  /** When the identity lapses, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined
  /** How old it may become, in milliseconds; 0 for any age. */
  readonly maxAge: number
}

/**
 * When streams have to end. Ages are measured on the clock that never jumps. An identity lapses at a wall time: what remains of it is
 * measured on the same clock from the moment of opening, and a wall clock that says earlier that it has lapsed is believed as well.
 */
export class Expiries<Item> {
  readonly #clock: Clock
  readonly #ends = new DeadlineHeap<Item>()
  readonly #expiries = new DeadlineHeap<Item>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(item: Item, { expiresAt = Number.POSITIVE_INFINITY, maxAge }: ExpiryInit): void {
    const wall = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    const expiry = this.#expiryOf(expiresAt, expiresAt - wall)
    const end = Math.min(monotonic + (expiry - wall), this.#endOf(monotonic, maxAge))
    if (end < Number.POSITIVE_INFINITY) this.#ends.set(item, end)
    if (expiry < Number.POSITIVE_INFINITY) this.#expiries.set(item, expiry)
  }

  delete(item: Item): void {
    this.#ends.delete(item)
    this.#expiries.delete(item)
  }

  /** Takes one whose time comes within so many milliseconds. */
  takeDue(within: number): Item | undefined {
    const item =
      this.#ends.takeDue(this.#clock.monotonic() + within) ?? this.#expiries.takeDue(this.#clock.now() + within)
    if (item !== undefined) this.delete(item)
    return item
  }

  /**
   * A little earlier, so that its client can still ask for another identity, and spread, because thousands may have signed in
   * at the same time.
   */
  #expiryOf(expiresAt: number, lifetime: number): number {
    if (expiresAt === Number.POSITIVE_INFINITY) return expiresAt
    return expiresAt - this.#clock.random() * Math.min(lifetime * EXPIRY_SPREAD, MAX_EXPIRY_SPREAD)
  }

  /** Spread, because thousands come at the same time when a node was started. */
  #endOf(opened: number, maxAge: number): number {
    return maxAge === 0 ? Number.POSITIVE_INFINITY : opened + maxAge * (1 - this.#clock.random() * AGE_SPREAD)
  }
}
