/** Sets of streams by key. Most sets have one member, which is stored without a set to save memory. */
export class CompactIndex<Key, Stream extends object> {
  readonly #sets = new Map<Key, Stream | Set<Stream>>()

  /** The number of keys that have a member. */
  get size(): number {
    return this.#sets.size
  }

  add(key: Key, stream: Stream): void {
    const retained = this.#sets.get(key)
    if (retained === undefined) this.#sets.set(key, stream)
    else if (retained instanceof Set) retained.add(stream)
    else if (retained !== stream) this.#sets.set(key, new Set([retained, stream]))
  }

  delete(key: Key, stream: Stream): void {
    const retained = this.#sets.get(key)
    if (retained === stream) this.#sets.delete(key)
    else if (retained instanceof Set && retained.delete(stream) && retained.size === 0) this.#sets.delete(key)
  }

  count(key: Key): number {
    const retained = this.#sets.get(key)
    if (retained === undefined) return 0
    return retained instanceof Set ? retained.size : 1
  }

  /** The members of a set, in the order in which they were added. */
  get(key: Key): Iterable<Stream> {
    const retained = this.#sets.get(key)
    if (retained === undefined) return []
    return retained instanceof Set ? retained : [retained]
  }
}
