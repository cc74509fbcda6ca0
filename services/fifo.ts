/** The array is copied only when more places than this are empty. */
const MIN_EMPTY = 32

/**
 * A queue. Taking an item has constant cost. A new iterator over a Map does not: it visits every entry that was deleted since
 * the Map's table last grew.
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
    // For each copied item one has left, so the average cost is one step per item.
    if (this.#start > MIN_EMPTY && this.#start * 2 > this.#items.length) {
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
