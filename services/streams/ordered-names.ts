import { compareNames } from '../events/utf8-order.ts'

/** A chunk with more names is split. Two neighbours that together have less than a quarter of it are merged. */
const MAX_CHUNK = 512

/**
 * Sorted names in chunks: the cost of reading a page depends on its length, and not on the number of names. The same holds for
 * adding and deleting a name.
 */
export class OrderedNames {
  readonly #compare: (one: string, other: string) => number
  readonly #chunks: string[][] = []

  constructor(compare: (one: string, other: string) => number = compareNames) {
    this.#compare = compare
  }

  add(name: string): void {
    const at = Math.max(0, this.#chunkOf(name))
    const chunk = this.#chunks[at]
    if (chunk === undefined) {
      this.#chunks.push([name])
      return
    }
    const position = this.#positionIn(chunk, name)
    if (chunk[position] === name) return
    chunk.splice(position, 0, name)
    if (chunk.length > MAX_CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(MAX_CHUNK >> 1))
  }

  delete(name: string): void {
    const at = this.#chunkOf(name)
    const chunk = this.#chunks[at]
    if (chunk === undefined) return
    const position = this.#positionIn(chunk, name)
    if (chunk[position] !== name) return
    chunk.splice(position, 1)
    const next = this.#chunks[at + 1]
    if (chunk.length === 0) this.#chunks.splice(at, 1)
    else if (next !== undefined && chunk.length + next.length < MAX_CHUNK >> 2) {
      chunk.push(...next)
      this.#chunks.splice(at + 1, 1)
    }
  }

  /** Returns at most `limit` names after a name. */
  after(name: string, limit: number): string[] {
    const found: string[] = []
    let at = Math.max(0, this.#chunkOf(name))
    const first = this.#chunks[at]
    if (first === undefined) return found
    let position = this.#positionIn(first, name)
    if (first[position] === name) position++
    for (; found.length < limit && at < this.#chunks.length; at++, position = 0) {
      const chunk = this.#chunks[at] as string[]
      for (; found.length < limit && position < chunk.length; position++) found.push(chunk[position] as string)
    }
    return found
  }

  /** The index of the last chunk that begins with the name or before it, or -1. */
  #chunkOf(name: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare((this.#chunks[middle] as string[])[0] as string, name) <= 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The first index in a chunk that holds the name or one after it. */
  #positionIn(chunk: readonly string[], name: string): number {
    let low = 0
    let high = chunk.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(chunk[middle] as string, name) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
