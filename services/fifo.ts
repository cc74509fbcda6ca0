/** Below so many empty places the array is not copied. */
const FEW = 32

/**
 * A queue: items leave in the order in which they came. To take one costs the same however many were taken before, which a
 * fresh iterator over a Map does not give: it walks over every entry that was deleted since the Map's table last grew.
 */
export class Fifo<Item> {
  #items: (Item | undefined)[] = []
  #start = 0

  get size(): number {
    return this.#items.length - this.#start
  }

  /** The item that leaves next. */
  get first(): Item | undefined {
    return this.#items[this.#start]
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  shift(): Item | undefined {
    if (this.#start === this.#items.length) return undefined
    const item = this.#items[this.#start]
    this.#items[this.#start++] = undefined
    // Each copied item pays for one that left: on average one step an item.
    if (this.#start > FEW && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start)
      this.#start = 0
    }
    return item
  }

  clear(): void {
    this.#items = []
    this.#start = 0
  }
}
