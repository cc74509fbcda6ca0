/**
 * Things with a time, the earliest first: a binary heap, because one timer serves them all and far dates overflow timers.
 * Deleting is a mark; the heap is built anew once the marks outnumber what lives.
 */
export class DeadlineHeap<Item> {
  #heap: { at: number; item: Item }[] = []
  readonly #live = new Map<Item, number>()

  /** How many things are waiting. */
  get size(): number {
    return this.#live.size
  }

  /** Puts `item` on the list, or moves it to another time. */
  set(item: Item, at: number): void {
    this.#live.set(item, at)
    this.#heap.push({ at, item })
    this.#up(this.#heap.length - 1)
    this.#compact()
  }

  delete(item: Item): void {
    if (this.#live.delete(item)) this.#compact()
  }

  /** Takes one thing whose time is `now` or earlier off the list. */
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
