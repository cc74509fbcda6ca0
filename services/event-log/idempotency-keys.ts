import type { Receipt } from './event-log.ts'

/** More keys than this at a time and the oldest are forgotten before their window ends: memory stays bounded. */
const MAX_KEYS = 100_000

/** The receipts of what was appended with an idempotency key, for as long as its window lasts. */
export class IdempotencyKeys {
  readonly #window: number
  // In the order in which they were added, which is the order in which they lapse: the window is the same for all.
  readonly #receipts = new Map<string, { receipt: Receipt; until: number }>()
  #purgeAt = 0

  /** @param window how long a key is remembered, in milliseconds. */
  constructor(window: number) {
    this.#window = window
  }

  get(key: string, now: number): Receipt | undefined {
    const known = this.#receipts.get(key)
    return known !== undefined && known.until > now ? known.receipt : undefined
  }

  set(key: string, receipt: Receipt, now: number): void {
    this.#receipts.delete(key)
    this.#receipts.set(key, { receipt, until: now + this.#window })
    if (now >= this.#purgeAt || this.#receipts.size > MAX_KEYS) this.#purge(now)
  }

  #purge(now: number): void {
    this.#purgeAt = now + this.#window / 16
    let excess = this.#receipts.size - MAX_KEYS
    // A sixteenth more than it must, so that a flood of keys does not purge for each of them.
    if (excess > 0) excess += MAX_KEYS / 16
    for (const [key, known] of this.#receipts) {
      if (known.until > now && excess <= 0) break
      this.#receipts.delete(key)
      excess--
    }
  }
}
