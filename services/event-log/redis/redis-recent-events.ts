import type { Clock } from '../../clock.ts'
import { DeadlineHeap } from '../../deadline-heap.ts'
import { besidesInboxes, type Channel, isInboxChannel } from '../../events/channel.ts'
import type { Cursor } from '../../events/cursor.ts'
import { Fifo } from '../../fifo.ts'
import type { ReadQuery, ReadResult } from '../event-log.ts'
import { ChannelHistory } from '../memory/channel-history.ts'
import { MemoryEntry } from '../memory/memory-entry.ts'
import { mergeHistories } from '../memory/merge-histories.ts'
import { cursorIn } from './read-page.ts'
import type { Entry } from './redis-entry.ts'
import type { StoreTime } from './store-time.ts'

/** Max. number of entries. The tail reports no evictions of entries that are older than twice this: see common-state.lua. */
const MAX_ENTRIES = 50_000
/** Max. number of heads of the log that are known besides. */
const MAX_HEADS = 10_000
/** Max. age of an entry in milliseconds: streams that return later are rare enough to read from Redis. */
const MAX_AGE = 600_000

export interface RecentOptions {
  /** Max. size in bytes. */
  readonly bytes: number
  /** How long the log keeps an event, in milliseconds. */
  readonly age: number
  readonly clock: Clock
  readonly storeTime: StoreTime
}

/**
 * The events that the tail has dispatched last, in this process. Those of a channel are complete from one position on while the
 * node is interested in it. So thousands of streams that return at once, or begin at the head, are served here and not by
 * Redis, also while Redis is down. It serves only what it knows exactly, as of the position of the tail.
 */
export class RecentEvents {
  readonly #maxBytes: number
  readonly #age: number
  readonly #clock: Clock
  readonly #storeTime: StoreTime
  readonly #histories = new Map<Channel, ChannelHistory>()
  readonly #expiries = new DeadlineHeap<MemoryEntry>()
  /** Every entry after the floor, by its number: its witness validates cursors. */
  readonly #entries = new Map<number, MemoryEntry>()
  /** The same entries in order of arrival. */
  readonly #order = new Fifo<MemoryEntry>()
  /** Witnesses of heads of the log, from replies of Redis: most of those events have not come to this node. */
  readonly #heads = new Map<number, string>()
  /** All entries after it that came to this node are here. */
  #floor: Cursor | undefined
  #head: Cursor = { seq: 0, witness: '' }
  #bytes = 0

  constructor({ bytes, age, clock, storeTime }: RecentOptions) {
    this.#maxBytes = bytes
    this.#age = Math.min(MAX_AGE, age / 2)
    this.#clock = clock
    this.#storeTime = storeTime
  }

  get head(): Cursor {
    return this.#head
  }

  /** Forgets all entries, and starts anew after a cursor. */
  begin(at: Cursor): void {
    this.#histories.clear()
    this.#expiries.clear()
    this.#entries.clear()
    this.#order.clear()
    this.#heads.clear()
    this.#floor = at
    this.#head = at
    this.#bytes = 0
  }

  /** Every event up to this head that is for this node has been added. */
  reach(head: Cursor): void {
    if (head.seq <= this.#head.seq) return
    this.#head = head
    this.know(head)
  }

  /** A head of the log, by which clients may resume. */
  know({ seq, witness }: Cursor): void {
    if (this.#floor === undefined || this.#entries.has(seq) || this.#heads.has(seq)) return
    this.#heads.set(seq, witness)
    if (this.#heads.size > MAX_HEADS) this.#heads.delete(this.#heads.keys().next().value as number)
  }

  /** Adds the next entries of the log, and applies its evictions; returns the entries as they are dispatched. */
  add(entries: readonly Entry[], evictions: readonly (readonly [Channel, number])[]): MemoryEntry[] {
    const storeTime = this.#storeTime.now()
    const now = this.#clock.monotonic()
    const added = entries.map((entry) => this.#add(entry, now - Math.max(0, storeTime - entry.time)))
    for (const [channel, seq] of evictions) this.#evict(channel, seq)
    this.#trim(now)
    return added
  }

  /** The result, or undefined if only Redis has it. */
  read({ channels, from: position, limit }: ReadQuery): ReadResult | undefined {
    const from = cursorIn(position)
    if (from === undefined || channels.some(isInboxChannel)) return undefined
    const now = this.#clock.monotonic()
    this.#trim(now)
    for (let entry = this.#expiries.takeDue(now); entry !== undefined; entry = this.#expiries.takeDue(now))
      this.#remove(entry)
    if (this.#witnessAt(from.seq) !== from.witness) return undefined
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

  #witnessAt(seq: number): string | undefined {
    if (this.#floor === undefined || seq < this.#floor.seq || seq > this.#head.seq) return undefined
    if (seq === this.#head.seq) return this.#head.witness
    if (seq === this.#floor.seq) return this.#floor.witness
    return this.#entries.get(seq)?.cursor?.witness ?? this.#heads.get(seq)
  }

  #add({ cursor, time, expiresAt, retracted, ...rest }: Entry, appendedAt: number): MemoryEntry {
    const event = { ...rest, transient: cursor === null, streams: 0 }
    const entry = new MemoryEntry(event, cursor, time, appendedAt)
    if (cursor === null) return entry
    this.#head = cursor
    this.#entries.set(cursor.seq, entry)
    this.#order.push(entry)
    this.#bytes += entry.bytes
    for (const channel of besidesInboxes(entry.channels)) {
      const history = this.#historyOf(channel)
      history.push(cursor.seq, entry)
      if (retracted !== undefined) history.remove(retracted)
    }
    if (expiresAt !== undefined) this.#expiries.set(entry, appendedAt + expiresAt - time)
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
      const isOverBound = this.#bytes > this.#maxBytes || this.#entries.size > MAX_ENTRIES
      if (!isOverBound && oldest.appendedAt > horizon) return
      this.#order.shift()
      this.#forget(oldest)
    }
  }

  #forget(entry: MemoryEntry): void {
    const cursor = entry.cursor as Cursor
    this.#floor = cursor
    this.#entries.delete(cursor.seq)
    this.#bytes -= entry.bytes
    this.#expiries.delete(entry)
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
