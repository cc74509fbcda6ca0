/** Sets by a key, where most sets have one member: then the member stands for itself, which saves a set each. */
export class StreamIndex<Key, Stream extends object> {
  readonly #sets = new Map<Key, Stream | Set<Stream>>()

  /** How many keys have a member. */
  get size(): number {
    return this.#sets.size
  }

  add(key: Key, stream: Stream): void {
    const held = this.#sets.get(key)
    if (held === undefined) this.#sets.set(key, stream)
    else if (held instanceof Set) held.add(stream)
    else if (held !== stream) this.#sets.set(key, new Set([held, stream]))
  }

  delete(key: Key, stream: Stream): void {
    const held = this.#sets.get(key)
    if (held === stream) this.#sets.delete(key)
    else if (held instanceof Set && held.delete(stream) && held.size === 0) this.#sets.delete(key)
  }

  count(key: Key): number {
    const held = this.#sets.get(key)
    if (held === undefined) return 0
    return held instanceof Set ? held.size : 1
  }

  /** The members of a set, in the order in which they were added. */
  get(key: Key): Iterable<Stream> {
    const held = this.#sets.get(key)
    if (held === undefined) return []
    return held instanceof Set ? held : [held]
  }
}
