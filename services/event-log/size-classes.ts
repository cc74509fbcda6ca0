/** What lies in the classes. */
interface Weighed {
  readonly bytes: number
  /** Where it lies in its class, which keeps this up to date. */
  placeInClass: number
}

/**
 * Finds an item that holds about the most bytes, at once, however many there are: they lie in classes by the power of two of
 * what they hold. When the whole log is over its bound, the heaviest channel gives, never a light one.
 */
export class SizeClasses<Item extends Weighed> {
  // Arrays, from which a channel is taken by moving the last one into its place. Sets would need an iterator each that goes on
  // where it stopped, and such an iterator holds every table that its set has ever outgrown.
  readonly #classes: Item[][] = Array.from({ length: 55 }, () => [])
  /** Whose turn it is in each class. */
  readonly #turns: number[] = this.#classes.map(() => 0)
  #heaviest = 0

  /** To be called when the bytes of an item have changed; `before` is what it held when it was last placed. */
  update(item: Item, before: number): void {
    const from = classOf(before)
    const to = classOf(item.bytes)
    if (from === to) return
    if (from !== 0) this.#take(item, this.#classes[from] as Item[])
    if (to === 0) return
    const heavier = this.#classes[to] as Item[]
    item.placeInClass = heavier.length
    heavier.push(item)
    if (to > this.#heaviest) this.#heaviest = to
  }

  /** An item of the heaviest class that is not empty, each of them in its turn. */
  heaviest(): Item | undefined {
    while (this.#heaviest > 0 && this.#classes[this.#heaviest]?.length === 0) this.#heaviest--
    if (this.#heaviest === 0) return undefined
    const heaviest = this.#classes[this.#heaviest] as Item[]
    const turn = (this.#turns[this.#heaviest] as number) % heaviest.length
    this.#turns[this.#heaviest] = turn + 1
    return heaviest[turn]
  }

  #take(item: Item, from: Item[]): void {
    const last = from.pop() as Item
    if (last === item) return
    from[item.placeInClass] = last
    last.placeInClass = item.placeInClass
  }
}

/** 0 for nothing, else one more than the exponent of the power of two below. */
function classOf(bytes: number): number {
  return bytes === 0 ? 0 : Math.floor(Math.log2(bytes)) + 1
}
