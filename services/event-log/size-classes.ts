/** An item of the classes. */
interface Weighed {
  readonly bytes: number
  /** Index in its class; maintained by the class. */
  indexInClass: number
}

/**
 * Finds one of the heaviest items in constant time: items are in classes by the power of two of their bytes. When the whole
 * log is over its bound, eviction takes from one of the heaviest channels, never from a light one.
 */
export class SizeClasses<Item extends Weighed> {
  // Arrays, in which the last item replaces a removed one. Sets would need a long-lived iterator each, and such an iterator
  // retains every hash table that its set has ever outgrown.
  readonly #classes: Item[][] = Array.from({ length: 55 }, () => [])
  /** The index whose turn is next in each class. */
  readonly #turns: number[] = this.#classes.map(() => 0)
  #heaviest = 0

  /** Call it when the bytes of an item have changed; `before` is their number at the last call. */
  update(item: Item, before: number): void {
    const from = sizeClassOf(before)
    const to = sizeClassOf(item.bytes)
    if (from === to) return
    if (from !== 0) this.#take(item, this.#classes[from] as Item[])
    if (to === 0) return
    const heavier = this.#classes[to] as Item[]
    item.indexInClass = heavier.length
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
    from[item.indexInClass] = last
    last.indexInClass = item.indexInClass
  }
}

/** 0 for 0 bytes, else one more than the exponent of the power of two below. */
export function sizeClassOf(bytes: number): number {
  return bytes === 0 ? 0 : Math.floor(Math.log2(bytes)) + 1
}
