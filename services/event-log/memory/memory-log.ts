import type { Clock } from '../../clock.ts'
import { DeadlineHeap } from '../../deadline-heap.ts'
import { HubClosedError } from '../../errors.ts'
import { besidesInboxes, type Channel, isInboxChannel } from '../../events/channel.ts'
import { type Cursor, newEpoch, sameEpoch } from '../../events/cursor.ts'
import type { GapReason } from '../../events/gap-reason.ts'
import type { LogEvent, NewEvent } from '../../events/log-event.ts'
import type { EventLog, LogStats, ReadFrom, ReadQuery, ReadResult, Receipt, Tail, TailListener } from '../event-log.ts'
import { rejectOtherContent } from '../idempotency.ts'
import {
  type ChannelKind,
  countBound,
  type EvictionSource,
  evictionSourceOf,
  isAgedFirst,
  lifetimeOf,
  type Retention
} from '../retention.ts'
import { retractedFrom } from '../retraction.ts'
import { SizeClasses } from '../size-classes.ts'
import { newWitnessKey, Witnesses } from '../witnesses.ts'
import { ChannelHistory } from './channel-history.ts'
import { EmptiedChannels } from './emptied-channels.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import { MemoryEntry } from './memory-entry.ts'
import { mergeHistories } from './merge-histories.ts'

/** Weight of a channel with entries, besides the entries. Measured over 100,000 channels of one event. */
const CHANNEL_OVERHEAD = 550
/** The share of the bound in bytes for the marks of emptied channels. */
const MARKS_SHARE = 1 / 8

export interface MemoryLogOptions {
  readonly retention: Retention
  /** How long an idempotency key is remembered, in milliseconds. */
  readonly idempotencyWindow: number
  readonly clock: Clock
}

/** Why an entry leaves a channel. */
type Fate = 'evicted' | 'expired' | 'retracted'

/** The event log in this process's memory: the library's default. A restart begins a new epoch, which cursors reveal. */
export class MemoryLog implements EventLog {
  readonly #retention: Retention
  readonly #clock: Clock
  readonly #epoch = newEpoch()
  readonly #witnesses = new Witnesses(newWitnessKey())
  readonly #histories = new Map<Channel, ChannelHistory>()
  readonly #sizes: Record<ChannelKind, SizeClasses<ChannelHistory>> = {
    user: new SizeClasses(),
    topic: new SizeClasses(),
    everyone: new SizeClasses(),
    inbox: new SizeClasses()
  }
  /** Bytes of each eviction source; an entry in several channels counts for each. */
  readonly #retained: Record<EvictionSource, number> = { keys: 0, user: 0, topic: 0, everyone: 0, inbox: 0 }
  readonly #keys: IdempotencyKeys
  readonly #ttls = new DeadlineHeap<MemoryEntry>()
  readonly #tails = new Set<{ readonly listener: TailListener; readonly since: number }>()
  /** Events that were appended during a dispatch; they are dispatched after it. */
  readonly #undispatched: (readonly LogEvent[])[] = []
  #isDispatching = false
  /** Number of dispatches, including the current one. */
  #dispatched = 0
  /** Every retained entry by its number. */
  readonly #entries = new Map<number, MemoryEntry>()
  /** The ends of the list of entries whose age has not evicted them: others are retained by inboxes alone. */
  #oldest: MemoryEntry | undefined
  #newest: MemoryEntry | undefined
  readonly #emptied: EmptiedChannels
  #head: Cursor
  readonly #removed: Record<Fate, number> = { evicted: 0, expired: 0, retracted: 0 }
  /** Weight of entries and channels. */
  #bytes = 0
  #closed = false

  constructor(options: MemoryLogOptions) {
    this.#retention = options.retention
    this.#clock = options.clock
    this.#keys = new IdempotencyKeys(options.idempotencyWindow)
    this.#emptied = new EmptiedChannels(options.retention.bytes * MARKS_SHARE)
    this.#head = { seq: 0, witness: this.#witnessOf(0) }
  }

  async append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    if (this.#closed) throw new HubClosedError()
    const now = this.#clock.monotonic()
    const time = this.#clock.now()
    this.#expire(now)
    rejectOtherContent(events, (idempotency) => this.#keys.find(idempotency, now)?.digest)
    const receipts: Receipt[] = []
    const appended: MemoryEntry[] = []
    for (const each of events) {
      const event = this.#applied(each)
      if (event === undefined) {
        receipts.push({ id: null, streams: 0, isRepeat: false })
        continue
      }
      const known = event.idempotency === undefined ? undefined : this.#keys.find(event.idempotency, now)
      if (known !== undefined) {
        receipts.push({ ...known.receipt, isRepeat: true })
        continue
      }
      const entry = event.transient ? new MemoryEntry(event, null, time, now) : this.#store(event, time, now)
      appended.push(entry)
      const receipt = { id: entry.id, streams: event.streams, isRepeat: false }
      receipts.push(receipt)
      if (event.idempotency !== undefined) this.#keys.add(event.idempotency, receipt, now)
    }
    this.#shrink()
    if (appended.length > 0) this.#dispatch(appended)
    return receipts
  }

  read(query: ReadQuery): ReadResult {
    this.#expire(this.#clock.monotonic())
    const { after, gap } = this.#recognise(query.from)
    const histories: ChannelHistory[] = []
    let evicted = 0
    for (const channel of query.channels) {
      const history = this.#histories.get(channel)
      if (history !== undefined) histories.push(history)
      evicted = Math.max(evicted, history?.evicted ?? this.#emptied.evictedFrom(channel))
    }
    const last = typeof query.from === 'object' && 'last' in query.from ? query.from.last : undefined
    const { events, remaining, hole } = mergeHistories(histories, after, query.limit, last)
    evicted = Math.max(evicted, hole)
    const next = remaining === 0 ? this.#head : (events[events.length - 1]?.cursor ?? this.#head)
    const isCursor = typeof query.from === 'object' && 'seq' in query.from
    return { events, remaining, next, evicted, gap: gap ?? (isCursor && evicted > after ? 'evicted' : undefined) }
  }

  async tail(listener: TailListener): Promise<Tail> {
    if (this.#closed) throw new HubClosedError()
    const tail = { listener, since: this.#dispatched + this.#undispatched.length }
    this.#tails.add(tail)
    const stop = async () => {
      this.#tails.delete(tail)
    }
    return { position: this.#head, stop }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#tails.clear()
  }

  stats(): LogStats {
    const { size: channels } = this.#histories
    const { inbox } = this.#retained
    return {
      kind: 'memory',
      events: this.#entries.size,
      bytes: this.#allBytes,
      channels,
      head: this.#head.seq,
      hasInboxes: inbox > 0,
      removed: { evicted: this.#removed.evicted, expired: this.#removed.expired }
    }
  }

  /** Keeps the order of the sequence for every listener, even if one of them appends, or opens a tail, while it is called. */
  #dispatch(events: readonly LogEvent[]): void {
    this.#undispatched.push(events)
    if (this.#isDispatching) return
    this.#isDispatching = true
    try {
      for (let next = this.#undispatched.shift(); next !== undefined; next = this.#undispatched.shift()) {
        this.#dispatched++
        for (const { listener, since } of this.#tails) if (since < this.#dispatched) listener.onEvents(next)
      }
    } finally {
      this.#isDispatching = false
    }
  }

  /** The number after which to read. A cursor that this log does not recognise yields a gap, and all retained entries. */
  #recognise(from: ReadFrom): { after: number; gap?: GapReason } {
    if (from === 'head') return { after: this.#head.seq }
    if (from === 'oldest' || 'last' in from) return { after: 0 }
    if (!sameEpoch(from.witness, this.#epoch)) return { after: 0, gap: 'reset' }
    const isOther = from.witness !== this.#witnessOf(from.seq)
    return from.seq > this.#head.seq || isOther ? { after: 0, gap: 'diverged' } : { after: from.seq }
  }

  /** The event as it is appended, after the removal of the one that it retracts; undefined if it is not appended. */
  #applied(event: NewEvent): NewEvent | undefined {
    const { retracts, replaces, collapseKey = '' } = event
    if (retracts !== undefined) return this.#retract(event, retracts)
    if (replaces === undefined) return event
    const isNewest = (channel: Channel) =>
      !isInboxChannel(channel) || (this.#histories.get(channel)?.collapsed(collapseKey) ?? 0) === replaces
    return event.channels.every(isNewest) ? event : undefined
  }

  #retract(event: NewEvent, { seq, witness }: Cursor): NewEvent | undefined {
    const entry = this.#entries.get(seq)
    if (entry === undefined || entry.cursor?.witness !== witness) return undefined
    const given = event.channels.length === 0 ? entry.channels : event.channels
    const isRetained = (channel: Channel) => this.#histories.get(channel)?.has(seq) === true
    const channels = retractedFrom(entry.event, event.channels, given, isRetained)
    if (channels === undefined) return undefined
    this.#drop(entry, given, () => 'retracted')
    return { ...event, channels }
  }

  #store(event: NewEvent, time: number, now: number): MemoryEntry {
    const cursor = { seq: this.#head.seq + 1, witness: this.#witnessOf(this.#head.seq + 1) }
    this.#head = cursor
    const lifetime = lifetimeOf(event, this.#retention)
    const entry = new MemoryEntry(event, cursor, time, now, lifetime)
    this.#entries.set(cursor.seq, entry)
    this.#bytes += entry.bytes
    entry.older = this.#newest
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
    for (const channel of event.channels) this.#file(channel, cursor.seq, entry)
    if (lifetime !== undefined && entry.retained > 0) this.#ttls.set(entry, now + lifetime)
    return entry
  }

  #file(channel: Channel, seq: number, entry: MemoryEntry): void {
    let history = this.#histories.get(channel)
    if (history === undefined) {
      history = new ChannelHistory(channel, this.#emptied.evictedFrom(channel))
      this.#emptied.delete(channel)
      this.#histories.set(channel, history)
      this.#bytes += CHANNEL_OVERHEAD
      this.#retained[history.kind] += CHANNEL_OVERHEAD
    }
    const before = history.bytes
    const replaced = history.push(seq, entry)
    this.#weigh(history, before)
    if (replaced !== undefined) this.#release(replaced)
    const { channelBytes } = this.#retention
    const count = countBound(this.#retention, history.kind)
    while (history.count > count || (history.bytes > channelBytes && history.count > 1)) this.#evict(history)
  }

  /** Drops entries that are too old, which is a gap, and expired ones, which is not. */
  #expire(now: number): void {
    for (let entry = this.#ttls.takeDue(now); entry !== undefined; entry = this.#ttls.takeDue(now)) {
      const isAged = entry.channels.some(isInboxChannel) && isAgedFirst(entry.lifetime as number, this.#retention)
      this.#drop(entry, entry.channels, (kind) => (isAged && kind !== 'inbox' ? 'evicted' : 'expired'))
    }
    this.#keys.expire(now)
    const horizon = now - this.#retention.age
    for (let oldest = this.#oldest; oldest !== undefined && oldest.appendedAt <= horizon; oldest = this.#oldest) {
      this.#drop(oldest, besidesInboxes(oldest.channels), () => 'evicted')
      this.#unlink(oldest)
    }
  }

  /** Weight of the whole log. */
  get #allBytes(): number {
    return this.#bytes + this.#keys.bytes + this.#emptied.bytes
  }

  #witnessOf(seq: number): string {
    return this.#epoch + this.#witnesses.of(seq)
  }

  /** Brings the whole log under its bound. */
  #shrink(): void {
    const { bytes } = this.#retention
    while (this.#allBytes > bytes) {
      this.#retained.keys = this.#keys.bytes
      const source = evictionSourceOf(this.#retained, bytes - this.#emptied.bytes)
      if (source === undefined) return
      if (source === 'keys') this.#keys.forgetOne()
      else this.#evict(this.#sizes[source].heaviest() as ChannelHistory)
    }
  }

  /** Call it when the bytes of a channel have changed. */
  #weigh(history: ChannelHistory, before: number): void {
    this.#sizes[history.kind].update(history, before)
    this.#retained[history.kind] += history.bytes - before
  }

  #evict(history: ChannelHistory): void {
    this.#removed.evicted++
    const before = history.bytes
    const entry = history.shift()
    if (entry?.cursor == null) return
    history.evicted = entry.cursor.seq
    this.#removedFrom(history, entry, before)
  }

  #drop(entry: MemoryEntry, channels: readonly Channel[], fateOf: (kind: ChannelKind) => Fate): void {
    const seq = entry.cursor?.seq ?? 0
    for (const channel of channels) {
      const history = this.#histories.get(channel)
      if (history === undefined) continue
      const before = history.bytes
      if (history.remove(seq) === undefined) continue
      const fate = fateOf(history.kind)
      this.#removed[fate]++
      if (fate === 'evicted') history.evicted = Math.max(history.evicted, seq)
      this.#removedFrom(history, entry, before)
    }
  }

  #removedFrom(history: ChannelHistory, entry: MemoryEntry, bytesBefore: number): void {
    this.#weigh(history, bytesBefore)
    if (history.count === 0) {
      this.#histories.delete(history.channel)
      this.#bytes -= CHANNEL_OVERHEAD
      this.#retained[history.kind] -= CHANNEL_OVERHEAD
      this.#emptied.add(history.channel, history.evicted)
    }
    this.#release(entry)
  }

  /** Releases the entry for one channel; the last one removes it. */
  #release(entry: MemoryEntry): void {
    if (--entry.retained > 0) return
    this.#entries.delete(entry.cursor?.seq ?? 0)
    this.#ttls.delete(entry)
    this.#bytes -= entry.bytes
    this.#unlink(entry)
  }

  /** Removes the entry from the list of those that are not too old yet. */
  #unlink(entry: MemoryEntry): void {
    if (entry.older !== undefined) entry.older.newer = entry.newer
    else if (this.#oldest === entry) this.#oldest = entry.newer
    else return
    if (entry.newer === undefined) this.#newest = entry.older
    else entry.newer.older = entry.older
    entry.older = undefined
    entry.newer = undefined
  }
}
