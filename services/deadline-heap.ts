/**
 * Items with a deadline, the earliest first: a binary heap, because one timer serves all items and far dates overflow timers.
 * A deleted item stays in the heap, which is rebuilt once deleted items outnumber the others.
 */
export class DeadlineHeap<Item> {
  #heap: { at: number; item: Item }[] = []
  readonly #live = new Map<Item, number>()

  /** The number of items. */
  get size(): number {
    return this.#live.size
  }

  /** Adds an item, or changes its deadline. */
  set(item: Item, at: number): void {
    this.#live.set(item, at)
    this.#heap.push({ at, item })
    this.#up(this.#heap.length - 1)
    this.#compact()
  }

  /** Returns whether the item was there. */
  delete(item: Item): boolean {
    const wasThere = this.#live.delete(item)
    if (wasThere) this.#compact()
    return wasThere
  }

  /** Removes and returns one item whose deadline is `now` or earlier. */
  takeDue(now: number): Item | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return undefined
      const isLive = this.#live.get(first.item) === first.at
      if (isLive && first.at > now) return undefined
      this.#removeFirst()
      if (isLive) {
        this.#live.delete(first.item)
        return first.item
      }
    }
  }

  clear(): void {
    this.#heap = []
    this.#live.clear()
  }

  #compact(): void {
    if (this.#heap.length <= 2 * this.#live.size + 64) return
    this.#heap = Array.from(this.#live, ([item, at]) => ({ at, item })).sort((a, b) => a.at - b.at)
  }

  #removeFirst(): void {
    const last = this.#heap.pop() as { at: number; item: Item }
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#down(0)
  }

  #up(index: number): void {
    const heap = this.#heap
    const moving = heap[index] as { at: number; item: Item }
    let at = index
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as { at: number; item: Item }
      if (above.at <= moving.at) break
      heap[at] = above
      at = parent
    }
    heap[at] = moving
  }

  #down(index: number): void {
    const heap = this.#heap
    const moving = heap[index] as { at: number; item: Item }
    let at = index
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right !== undefined && right.at < (heap[child] as { at: number; item: Item }).at) child++
      const below = heap[child] as { at: number; item: Item }
      if (below.at >= moving.at) break
      heap[at] = below
      at = child
    }
    heap[at] = moving
  }
}
