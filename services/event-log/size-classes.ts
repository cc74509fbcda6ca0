import type { ChannelHistory } from './channel-history.ts'

/**
 * Finds a channel that holds about the most bytes, at once, however many channels there are: they lie in classes by the
 * power of two of what they hold. When the whole log is over its bound, the heaviest channel gives, never a light one:
 * a chatty topic does not evict a user's notifications.
 */
export class SizeClasses {
  readonly #classes: Set<ChannelHistory>[] = Array.from({ length: 54 }, () => new Set())
  // Iterators that go on where they stopped: beginning anew would walk over everything deleted since the last rehash.
  readonly #walks: (SetIterator<ChannelHistory> | undefined)[] = []
  #heaviest = 0

  /** To be called when the bytes of a channel have changed; `before` is what it held when it was last placed. */
  place(history: ChannelHistory, before: number): void {
    const from = classOf(before)
    const to = classOf(history.bytes)
    if (from === to) return
    if (from !== 0) this.#classes[from]?.delete(history)
    if (to !== 0) this.#classes[to]?.add(history)
    if (to > this.#heaviest) this.#heaviest = to
  }

  /** A channel of the heaviest class that is not empty, each of them in its turn. */
  heaviest(): ChannelHistory | undefined {
    while (this.#heaviest > 0 && this.#classes[this.#heaviest]?.size === 0) this.#heaviest--
    if (this.#heaviest === 0) return undefined
    return this.#walks[this.#heaviest]?.next().value ?? this.#walkAgain(this.#heaviest)
  }

  #walkAgain(at: number): ChannelHistory | undefined {
    const walk = this.#classes[at]?.values()
    this.#walks[at] = walk
    return walk?.next().value
  }
}

/** 0 for nothing, else one more than the exponent of the power of two below. */
function classOf(bytes: number): number {
  return bytes === 0 ? 0 : Math.floor(Math.log2(bytes)) + 1
}
