import type { Clock } from '../clock.ts'
import { DeadlineHeap } from '../deadline-heap.ts'

/** The part of an identity's remaining lifetime by which its stream may end early, and its maximum in milliseconds. */
const EXPIRY_SPREAD = 0.05
const MAX_EXPIRY_SPREAD = 30_000
/** The part of its maximum age by which a stream may end early. */
const AGE_SPREAD = 1 / 4

export interface ExpiryInit {
  /** When the identity expires, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined
  /** The maximum age in milliseconds; 0 for no maximum. */
  readonly maxAge: number
}

/**
 * When streams have to end. Ages are measured on the monotonic clock. An identity expires at a wall time: its remaining
 * lifetime is measured on the monotonic clock from the opening. A wall clock that reaches the expiry earlier counts as well.
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

  /** Takes one item that ends within so many milliseconds. */
  takeDue(within: number): Item | undefined {
    const item =
      this.#ends.takeDue(this.#clock.monotonic() + within) ?? this.#expiries.takeDue(this.#clock.now() + within)
    if (item !== undefined) this.delete(item)
    return item
  }

  /**
   * A little before the expiry, so that the client can still get another identity; and spread, because thousands of users may
   * have signed in at the same time.
   */
  #expiryOf(expiresAt: number, lifetime: number): number {
    if (expiresAt === Number.POSITIVE_INFINITY) return expiresAt
    return expiresAt - this.#clock.random() * Math.min(lifetime * EXPIRY_SPREAD, MAX_EXPIRY_SPREAD)
  }

  /** Spread, because thousands of streams open at the same time when a node starts. */
  #endOf(opened: number, maxAge: number): number {
    return maxAge === 0 ? Number.POSITIVE_INFINITY : opened + maxAge * (1 - this.#clock.random() * AGE_SPREAD)
  }
}
