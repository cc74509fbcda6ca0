import type { Channel } from '../channel.ts'

const GENERATION = 50_000

/**
 * Up to where channels that hold nothing any more were evicted. Of the latest 50,000 to 100,000 it is known for each; for all
 * before them one number is left. A stream may then be told of a gap that is none for it, but never not told of one that is.
 */
export class EmptiedChannels {
  // Two generations, the earlier of which goes as a whole. To delete the oldest one by one, an iterator would have to be kept,
  // and one that is kept holds every table that its map has ever outgrown; a new one each time walks over all that was deleted.
  #recent = new Map<Channel, number>()
  #earlier = new Map<Channel, number>()
  #forgotten = 0

  /** The highest number that was evicted from a channel that holds nothing; 0 if none was. */
  evictedFrom(channel: Channel): number {
    return this.#recent.get(channel) ?? this.#earlier.get(channel) ?? this.#forgotten
  }

  add(channel: Channel, evicted: number): void {
    if (evicted <= this.#forgotten) return
    this.#recent.set(channel, evicted)
    if (this.#recent.size < GENERATION) return
    for (const lost of this.#earlier.values()) this.#forgotten = Math.max(this.#forgotten, lost)
    this.#earlier = this.#recent
    this.#recent = new Map()
  }

  /** The channel holds something again, and knows itself up to where it was evicted. */
  delete(channel: Channel): void {
    this.#recent.delete(channel)
    this.#earlier.delete(channel)
  }
}
