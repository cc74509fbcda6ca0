import type { Channel } from '../../events/channel.ts'

/** Max. number of marks of a generation, and its max. share of the weight of all marks. */
const GENERATION = 50_000
const SHARE = 1 / 2
/** Min. weight of all marks, however small the bound. */
const MIN_BYTES = 4_096
/** Weight of a mark besides the channel's name. Measured on a 64-bit Node 20 over 100,000 marks: 79. */
const MARK_OVERHEAD = 80

/**
 * Marks of emptied channels: the highest number that was evicted from each. The latest 50,000 to 100,000 have a mark each,
 * fewer if their weight reaches the bound; one number covers all before them. So a stream may receive a gap that does not
 * concern it, but never misses one that does.
 */
export class EmptiedChannels {
  // Two generations, the earlier of which is dropped as a whole. Deleting the oldest one by one would need a long-lived
  // iterator, which retains every hash table that its map has ever outgrown; a new one each time walks over deleted slots.
  #recent = new Map<Channel, number>()
  #earlier = new Map<Channel, number>()
  #recentBytes = 0
  #earlierBytes = 0
  #forgotten = 0
  readonly #maxBytes: number

  /** @param maxBytes max. weight of all marks. */
  constructor(maxBytes: number) {
    this.#maxBytes = Math.max(MIN_BYTES, maxBytes)
  }

  /** Weight of all marks. */
  get bytes(): number {
    return this.#recentBytes + this.#earlierBytes
  }

  /** The highest number that was evicted from an emptied channel; 0 without evictions. */
  evictedFrom(channel: Channel): number {
    return this.#recent.get(channel) ?? this.#earlier.get(channel) ?? this.#forgotten
  }

  add(channel: Channel, evicted: number): void {
    if (evicted <= this.#forgotten) return
    if (!this.#recent.has(channel)) this.#recentBytes += weightOf(channel)
    this.#recent.set(channel, evicted)
    if (this.#recent.size < GENERATION && this.#recentBytes <= this.#maxBytes * SHARE) return
    for (const lost of this.#earlier.values()) this.#forgotten = Math.max(this.#forgotten, lost)
    this.#earlier = this.#recent
    this.#earlierBytes = this.#recentBytes
    this.#recent = new Map()
    this.#recentBytes = 0
  }

  /** Call it when the channel has entries again: its history has the number from then on. */
  delete(channel: Channel): void {
    if (this.#recent.delete(channel)) this.#recentBytes -= weightOf(channel)
    if (this.#earlier.delete(channel)) this.#earlierBytes -= weightOf(channel)
  }
}

function weightOf(channel: Channel): number {
  return MARK_OVERHEAD + channel.length
}
