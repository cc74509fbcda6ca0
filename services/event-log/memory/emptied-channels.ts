import type { Channel } from '../../events/channel.ts'

/** So many marks are a generation, and, in bytes, so much of what they may weigh in all. */
const GENERATION = 50_000
const PART = 1 / 2
/** However small the bound, so much is spent on the latest marks. */
const MIN_BYTES = 4_096
/** What a mark weighs besides the channel's name. Measured on a 64-bit Node 20 over 100,000 marks: 79. */
const MARK_OVERHEAD = 80

/**
 * Up to where channels that hold nothing any more were evicted. Of the latest 50,000 to 100,000 it is known for each, fewer if
 * they weigh more than they may; for all before them one number is left. A stream may then be told of a gap that is none for
 * it, but never not told of one that is.
 */
export class EmptiedChannels {
  // Two generations, the earlier of which goes as a whole. To delete the oldest one by one, an iterator would have to be kept,
  // and one that is kept holds every table that its map has ever outgrown; a new one each time walks over all that was deleted.
  #recent = new Map<Channel, number>()
  #earlier = new Map<Channel, number>()
  #recentBytes = 0
  #earlierBytes = 0
  #forgotten = 0
  readonly #maxBytes: number

  /** @param maxBytes what all marks may weigh. */
  constructor(maxBytes: number) {
    this.#maxBytes = Math.max(MIN_BYTES, maxBytes)
  }

  /** What all marks weigh. */
  get bytes(): number {
    return this.#recentBytes + this.#earlierBytes
  }

  /** The highest number that was evicted from a channel that holds nothing; 0 if none was. */
  evictedFrom(channel: Channel): number {
    return this.#recent.get(channel) ?? this.#earlier.get(channel) ?? this.#forgotten
  }

  add(channel: Channel, evicted: number): void {
    if (evicted <= this.#forgotten) return
    if (!this.#recent.has(channel)) this.#recentBytes += weightOf(channel)
    this.#recent.set(channel, evicted)
    if (this.#recent.size < GENERATION && this.#recentBytes <= this.#maxBytes * PART) return
    for (const lost of this.#earlier.values()) this.#forgotten = Math.max(this.#forgotten, lost)
    this.#earlier = this.#recent
    this.#earlierBytes = this.#recentBytes
    this.#recent = new Map()
    this.#recentBytes = 0
  }

  /** The channel holds something again, and knows itself up to where it was evicted. */
  delete(channel: Channel): void {
    if (this.#recent.delete(channel)) this.#recentBytes -= weightOf(channel)
    if (this.#earlier.delete(channel)) this.#earlierBytes -= weightOf(channel)
  }
}

function weightOf(channel: Channel): number {
  return MARK_OVERHEAD + channel.length
}
