import type { ChannelHistory } from './channel-history.ts'

/**
 * Finds a channel that holds about the most bytes, at once, however many channels there are: they lie in classes by the
 * power of two of what they hold. When the whole log is over its bound, the heaviest channel gives, never a light one:
 * a chatty topic does not evict a user's notifications.
 */
export class SizeClasses {
  // Arrays, from which a channel is taken by moving the last one into its place. Sets would need an iterator each that goes on
  // where it stopped, and such an iterator holds every table that its set has ever outgrown.
  readonly #classes: ChannelHistory[][] = Array.from({ length: 55 }, () => [])
  /** Whose turn it is in each class. */
  readonly #turns: number[] = this.#classes.map(() => 0)
  #heaviest = 0

  /** To be called when the bytes of a channel have changed; `before` is what it held when it was last placed. */
  place(history: ChannelHistory, before: number): void {
    const from = classOf(before)
    const to = classOf(history.bytes)
    if (from === to) return
    if (from !== 0) this.#take(history, this.#classes[from] as ChannelHistory[])
    if (to === 0) return
    const heavier = this.#classes[to] as ChannelHistory[]
    history.placeInClass = heavier.length
    heavier.push(history)
    if (to > this.#heaviest) this.#heaviest = to
  }

  /** A channel of the heaviest class that is not empty, each of them in its turn. */
  heaviest(): ChannelHistory | undefined {
    while (this.#heaviest > 0 && this.#classes[this.#heaviest]?.length === 0) this.#heaviest--
    if (this.#heaviest === 0) return undefined
    const heaviest = this.#classes[this.#heaviest] as ChannelHistory[]
    const turn = (this.#turns[this.#heaviest] as number) % heaviest.length
    this.#turns[this.#heaviest] = turn + 1
    return heaviest[turn]
  }

  #take(history: ChannelHistory, from: ChannelHistory[]): void {
    const last = from.pop() as ChannelHistory
    if (last === history) return
    from[history.placeInClass] = last
    last.placeInClass = history.placeInClass
  }
}

/** 0 for nothing, else one more than the exponent of the power of two below. */
function classOf(bytes: number): number {
  return bytes === 0 ? 0 : Math.floor(Math.log2(bytes)) + 1
}
