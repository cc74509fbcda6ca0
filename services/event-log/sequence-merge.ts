/**
 * Merges ascending sequences by their next numbers, the lowest first. A binary heap, so that a step costs the logarithm of
 * the number of sequences.
 */
export class SequenceMerge {
  /** The next number of each sequence; infinity at its end. */
  readonly #next: number[]
  readonly #heap: number[]

  constructor(next: readonly number[]) {
    this.#next = [...next]
    this.#heap = next.map((_, index) => index)
    for (let at = this.#heap.length >> 1; at-- > 0; ) this.#down(at)
  }

  /** The lowest next number; infinity at the end of all sequences. */
  get lowest(): number {
    return this.#next[this.first] ?? Number.POSITIVE_INFINITY
  }

  /** The index of a sequence with the lowest next number. */
  get first(): number {
    return this.#heap[0] as number
  }

  /** Sets the next number of the sequence `first`. */
  advance(next: number): void {
    this.#next[this.first] = next
    this.#down(0)
  }

  #down(start: number): void {
    const heap = this.#heap
    const moving = heap[start] as number
    const number = this.#next[moving] as number
    let at = start
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#numberAt(child + 1) < this.#numberAt(child)) child++
      if (this.#numberAt(child) >= number) break
      heap[at] = heap[child] as number
      at = child
    }
    heap[at] = moving
  }

  #numberAt(at: number): number {
    return this.#next[this.#heap[at] as number] as number
  }
}
