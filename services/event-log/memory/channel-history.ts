import type { Channel } from '../../events/channel.ts'
import { type ChannelKind, kindOf } from '../retention.ts'
import type { MemoryEntry } from './memory-entry.ts'

/** Number of positions that are counted at once; a power of two. */
const BLOCK = 1_024

/** The retained entries of one channel, oldest first. A pure data structure, without rules of retention. */
export class ChannelHistory {
  readonly channel: Channel
  readonly kind: ChannelKind
  /** The highest number that retention has evicted from this channel; 0 without evictions. */
  evicted: number
  count = 0
  bytes = 0
  /** Index in its size class; maintained by the class. */
  indexInClass = 0

  // Two parallel arrays: the number of a removed entry stays, so that searching remains a bisection.
  #seqs: number[] = []
  #entries: (MemoryEntry | undefined)[] = []
  /** Number of empty positions of each block but the first: a collapsed or expired entry leaves a hole. */
  #holes: number[] = []
  /** Index of the oldest entry: shifting an array would cost its length. */
  #start = 0
  /** The number of the newest entry of each collapse key. */
  #collapsed: Map<string, number> | undefined

  constructor(channel: Channel, evicted: number) {
    this.channel = channel
    this.kind = kindOf(channel)
    this.evicted = evicted
  }

  /** Appends an entry; returns the one with the same collapse key, which it replaces. */
  push(seq: number, entry: MemoryEntry): MemoryEntry | undefined {
    let replaced: MemoryEntry | undefined
    if (entry.collapseKey !== undefined) {
      this.#collapsed ??= new Map()
      const before = this.#collapsed.get(entry.collapseKey)
      if (before !== undefined) replaced = this.remove(before)
      this.#collapsed.set(entry.collapseKey, seq)
    }
    this.#seqs.push(seq)
    this.#entries.push(entry)
    this.count++
    this.bytes += entry.bytes
    return replaced
  }

  /** Removes the oldest entry. */
  shift(): MemoryEntry | undefined {
    while (this.#start < this.#entries.length) {
      const entry = this.#entries[this.#start]
      if (entry === undefined) this.#start++
      else return this.#take(this.#start, entry)
    }
    return undefined
  }

  /** Whether the entry with this number is retained. */
  has(seq: number): boolean {
    const index = this.indexAfter(seq - 1)
    return this.#seqs[index] === seq && this.#entries[index] !== undefined
  }

  /** The number of the retained entry with this collapse key, or 0. */
  collapsed(key: string): number {
    return this.#collapsed?.get(key) ?? 0
  }

  /** Removes the entry with this number, if it is retained. */
  remove(seq: number): MemoryEntry | undefined {
    const index = this.indexAfter(seq - 1)
    const entry = this.#seqs[index] === seq ? this.#entries[index] : undefined
    return entry === undefined ? undefined : this.#take(index, entry)
  }

  /** The index of the first position with a number above `seq`. Indexes are valid until the next change. */
  indexAfter(seq: number): number {
    let low = this.#start
    let high = this.#seqs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#seqs[middle] as number) > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  /** The index of the first retained entry at `index` or later; the length without one. */
  retainedFrom(index: number): number {
    let at = index
    while (at < this.#entries.length && this.#entries[at] === undefined) at++
    return at
  }

  /** The index of the first of the newest `count` retained entries. */
  indexOfLast(count: number): number {
    let at = this.#entries.length
    for (let left = count; left > 0 && at > this.#start; ) if (this.#entries[--at] !== undefined) left--
    return at
  }

  /** The index of the newest retained entry before `index`; without one, an index without an entry. */
  retainedBefore(index: number): number {
    let at = index - 1
    while (at >= this.#start && this.#entries[at] === undefined) at--
    return at
  }

  /** The number of retained entries at `index` and later. */
  countFrom(index: number): number {
    const { length } = this.#entries
    const nextBlock = Math.floor(index / BLOCK) + 1
    const counted = Math.min(nextBlock * BLOCK, length)
    let count = length - counted
    for (let at = index; at < counted; at++) if (this.#entries[at] !== undefined) count++
    for (let block = nextBlock; block < this.#holes.length; block++) count -= this.#holes[block] ?? 0
    return count
  }

  entryAt(index: number): MemoryEntry | undefined {
    return this.#entries[index]
  }

  /** The number at `index`, or infinity past the end. */
  seqAt(index: number): number {
    return this.#seqs[index] ?? Number.POSITIVE_INFINITY
  }

  #take(index: number, entry: MemoryEntry): MemoryEntry {
    this.#entries[index] = undefined
    this.count--
    this.bytes -= entry.bytes
    if (entry.collapseKey !== undefined) this.#collapsed?.delete(entry.collapseKey)
    if (index === this.#start) this.#start++
    if (index >= BLOCK) this.#noteHole(Math.floor(index / BLOCK))
    this.#compact()
    return entry
  }

  #noteHole(block: number): void {
    while (this.#holes.length <= block) this.#holes.push(0)
    this.#holes[block] = (this.#holes[block] as number) + 1
  }

  /** Copies the arrays without empty positions once those are the majority: on average a step or two for each entry. */
  #compact(): void {
    if (this.#entries.length < 16 || this.count * 2 > this.#entries.length) return
    const seqs: number[] = []
    const entries: (MemoryEntry | undefined)[] = []
    for (let at = this.#start; at < this.#entries.length; at++) {
      if (this.#entries[at] === undefined) continue
      seqs.push(this.#seqs[at] as number)
      entries.push(this.#entries[at])
    }
    this.#seqs = seqs
    this.#entries = entries
    this.#holes = []
    this.#start = 0
  }
}
