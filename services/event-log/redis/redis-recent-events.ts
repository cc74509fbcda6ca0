import type { Clock } from '../../clock.ts'
import { DeadlineHeap } from '../../deadline-heap.ts'
import type { Channel } from '../../events/channel.ts'
import type { Cursor } from '../../events/cursor.ts'
import { Fifo } from '../../fifo.ts'
import type { ReadQuery, ReadResult } from '../event-log.ts'
import { ChannelHistory } from '../memory/channel-history.ts'
import { MemoryEntry } from '../memory/memory-entry.ts'
import { mergeHistories } from '../memory/merge-histories.ts'
import type { Entry } from './redis-entry.ts'
import type { StoreTime } from './store-time.ts'

/** Evictions are not told of entries that lie further back than twice this: see common.lua. */
const MOST = 50_000
/** Nothing is kept for longer, in milliseconds: what returns later is rare enough to ask Redis. */
const LONGEST = 600_000

export interface RecentOptions {
  /** How much is kept, in bytes. */
  readonly bytes: number
  /** How long the log keeps an event, in milliseconds. */
  readonly age: number
  readonly clock: Clock
  readonly storeTime: StoreTime
}

/**
 * What the tail has handed over last, all of it from one place on, kept in this process: so that thousands of streams that
 * return at once, or begin with now, are answered here and not by Redis, also while that is away. It answers what it knows
 * exactly, as of what the tail has handed over, and nothing else.
 */
export class RecentEvents {
  readonly #maxBytes: number
  readonly #age: number
  readonly #clock: Clock
  readonly #storeTime: StoreTime
  readonly #histories = new Map<Channel, ChannelHistory>()
  readonly #ends = new DeadlineHeap<MemoryEntry>()
  /** Every entry after the floor, by its number: what a cursor's witness is compared with. */
  readonly #entries = new Map<number, MemoryEntry>()
  /** The same in the order in which they came. */
  readonly #order = new Fifo<MemoryEntry>()
  /** Everything after it is here. */
  #floor: Cursor | undefined
  #head: Cursor = { seq: 0, witness: '' }
  #bytes = 0

  constructor({ bytes, age, clock, storeTime }: RecentOptions) {
    this.#maxBytes = bytes
    this.#age = Math.min(LONGEST, age / 2)
    this.#clock = clock
    this.#storeTime = storeTime
  }

  get head(): Cursor {
    return this.#head
  }

  /** How much it would keep, in bytes. */
  get room(): number {
    return this.#maxBytes
  }

  /** Forgets everything, and knows all that comes after a cursor. */
  begin(at: Cursor): void {
    this.#histories.clear()
    this.#ends.clear()
    this.#entries.clear()
    this.#order.clear()
    this.#floor = at
    this.#head = at
    this.#bytes = 0
  }

  /** Takes what comes next in the log, and which numbers it has evicted; returns it as it is handed out. */
  add(entries: readonly Entry[], evictions: readonly (readonly [Channel, number])[]): MemoryEntry[] {
    const storeTime = this.#storeTime.now()
    const now = this.#clock.monotonic()
    const added = entries.map((entry) => this.#add(entry, now - Math.max(0, storeTime - entry.time)))
    for (const [channel, seq] of evictions) this.#evict(channel, seq)
    this.#trim(now)
    return added
  }

  /** The answer, or undefined if only Redis has it. */
  read({ channels, from, limit }: ReadQuery): ReadResult | undefined {
    if (typeof from !== 'object' || !('seq' in from)) return undefined
    const now = this.#clock.monotonic()
    this.#trim(now)
    for (let entry = this.#ends.takeDue(now); entry !== undefined; entry = this.#ends.takeDue(now)) this.#remove(entry)
    if (this.#cursorAt(from.seq)?.witness !== from.witness) return undefined
    const histories: ChannelHistory[] = []
    for (const channel of channels) {
      const history = this.#histories.get(channel)
      if (history === undefined) continue
      if (history.evicted > from.seq) return undefined
      histories.push(history)
    }
    const { events, remaining } = mergeHistories(histories, from.seq, limit, undefined)
    const next = remaining === 0 ? this.#head : (events.at(-1)?.cursor ?? this.#head)
    return { events, remaining, next, evicted: 0 }
  }

  #cursorAt(seq: number): Cursor | null | undefined {
    if (seq === this.#head.seq) return this.#floor === undefined ? undefined : this.#head
    return seq === this.#floor?.seq ? this.#floor : this.#entries.get(seq)?.cursor
  }

  #add({ cursor, time, ends, ...rest }: Entry, appendedAt: number): MemoryEntry {
    const event = { ...rest, transient: cursor === null, streams: 0 }
    const entry = new MemoryEntry(event, cursor, time, appendedAt)
    if (cursor === null) return entry
    this.#head = cursor
    this.#entries.set(cursor.seq, entry)
    this.#order.push(entry)
    this.#bytes += entry.bytes
    for (const channel of entry.channels) this.#historyOf(channel).push(cursor.seq, entry)
    if (ends !== undefined) this.#ends.set(entry, appendedAt + ends - time)
    return entry
  }

  #historyOf(channel: Channel): ChannelHistory {
    let history = this.#histories.get(channel)
    if (history === undefined) {
      history = new ChannelHistory(channel, 0)
      this.#histories.set(channel, history)
    }
    return history
  }

  #evict(channel: Channel, seq: number): void {
    if (seq <= (this.#floor?.seq ?? 0)) return
    const history = this.#historyOf(channel)
    history.evicted = Math.max(history.evicted, seq)
    while (history.seqAt(history.retainedFrom(history.indexAfter(0))) <= seq) history.shift()
  }

  #trim(now: number): void {
    const horizon = now - this.#age
    for (let oldest = this.#order.first; oldest !== undefined; oldest = this.#order.first) {
      const isTooMuch = this.#bytes > this.#maxBytes || this.#entries.size > MOST
      if (!isTooMuch && oldest.appendedAt > horizon) return
      this.#order.shift()
      this.#forget(oldest)
    }
  }

  #forget(entry: MemoryEntry): void {
    const cursor = entry.cursor as Cursor
    this.#floor = cursor
    this.#entries.delete(cursor.seq)
    this.#bytes -= entry.bytes
    this.#ends.delete(entry)
    this.#remove(entry)
    for (const channel of entry.channels) {
      const history = this.#histories.get(channel)
      if (history?.count === 0 && history.evicted <= cursor.seq) this.#histories.delete(channel)
    }
  }

  #remove(entry: MemoryEntry): void {
    for (const channel of entry.channels) this.#histories.get(channel)?.remove(entry.cursor?.seq ?? 0)
  }
}
