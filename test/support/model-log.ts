import type { Retention } from '../../services/event-log/retention.ts'
import type { Channel } from '../../services/events/channel.ts'
import { parseCursor } from '../../services/events/cursor.ts'
import type { LogEvent } from '../../services/events/log-event.ts'

/** Options of a publisher that the log does not return. */
export interface Handling {
  readonly ttl?: number | undefined
  readonly collapseKey?: string | undefined
}

/** An event as the model keeps it: never deleted, with its later fate. */
export interface ModelEntry extends Handling {
  readonly epoch: number
  readonly seq: number
  readonly id: string
  readonly channels: readonly Channel[]
  readonly event: string
  readonly data: string
  readonly at: number
  /** Channels that still retain it. */
  readonly retainedIn: Set<Channel>
  /** Channels whose retention evicted it: a cursor before it has a gap. */
  readonly evictedFrom: Set<Channel>
  /** Number of the last eviction that removed it from a channel. */
  eviction: number
  /** When it expired or was collapsed, which is not a gap. */
  expiredAt: number
}

/** A position in the log, as clients receive it. */
export interface Position {
  readonly epoch: number
  readonly seq: number
}

/**
 * The event log as its contract describes it, in the simplest form: one list per epoch, nothing deleted, every answer
 * computed from all entries. It shares no code with the real one.
 */
export class ModelLog {
  readonly retention: Pick<Retention, 'user' | 'topic' | 'everyone' | 'age'>
  /** The entries of each epoch, by number from 1. */
  readonly epochs: ModelEntry[][] = []
  /** Number of evictions. */
  evictions = 0
  readonly #names: string[] = []

  constructor(retention: Pick<Retention, 'user' | 'topic' | 'everyone' | 'age'>) {
    this.retention = retention
  }

  /** The current epoch of the log. */
  get epoch(): number {
    return this.epochs.length - 1
  }

  get head(): number {
    return this.#entries.length
  }

  get #entries(): ModelEntry[] {
    return this.epochs[this.epoch] as ModelEntry[]
  }

  /** Begins a new epoch; `id` is its cursor before the first event. */
  begin(id: string): void {
    this.epochs.push([])
    this.#names.push(nameOf(id))
  }

  append(event: LogEvent, { ttl, collapseKey }: Handling, now: number): void {
    this.expire(now)
    const { id, channels } = event
    const entry: ModelEntry = {
      epoch: this.epoch,
      seq: this.head + 1,
      id: id as string,
      channels,
      event: event.event,
      data: event.data,
      at: now,
      ttl,
      collapseKey,
      retainedIn: new Set(channels),
      evictedFrom: new Set(),
      eviction: 0,
      expiredAt: Number.POSITIVE_INFINITY
    }
    for (const channel of channels) this.#file(entry, channel, now)
    this.#entries.push(entry)
    for (const channel of channels) this.#evict(channel)
  }

  #file(entry: ModelEntry, channel: Channel, now: number): void {
    if (entry.collapseKey === undefined) return
    const before = this.#entries.findLast(
      ({ retainedIn, collapseKey }) => retainedIn.has(channel) && collapseKey === entry.collapseKey
    )
    before?.retainedIn.delete(channel)
    if (before?.retainedIn.size === 0 && before.evictedFrom.size === 0) before.expiredAt = now
  }

  #evict(channel: Channel): void {
    const { everyone: broadcast, user, topic } = this.retention
    const bound = channel === 'everyone' ? broadcast : channel.startsWith('u:') ? user : topic
    const retained = this.#entries.filter(({ retainedIn }) => retainedIn.has(channel))
    for (const entry of retained.slice(0, Math.max(0, retained.length - bound))) {
      entry.retainedIn.delete(channel)
      entry.evictedFrom.add(channel)
      entry.eviction = ++this.evictions
    }
  }

  /** Removes entries beyond their age, which is a gap, and beyond their TTL, which is not. */
  expire(now: number): void {
    for (const entry of this.#entries) {
      if (entry.retainedIn.size === 0) continue
      if (entry.ttl !== undefined && entry.at + entry.ttl <= now) {
        entry.retainedIn.clear()
        entry.expiredAt = Math.min(entry.expiredAt, entry.at + entry.ttl)
      } else if (entry.at <= now - this.retention.age) {
        for (const channel of entry.retainedIn) entry.evictedFrom.add(channel)
        entry.retainedIn.clear()
        entry.eviction = ++this.evictions
      }
    }
  }

  /** The position of an id, or undefined if the log never assigned it. */
  positionOf(id: string): Position | undefined {
    const cursor = parseCursor(id)
    const epoch = this.#names.indexOf(nameOf(id))
    if (cursor === undefined || epoch === -1) return undefined
    if (cursor.seq === 0) return { epoch, seq: 0 }
    return this.epochs[epoch]?.[cursor.seq - 1]?.id === id ? { epoch, seq: cursor.seq } : undefined
  }

  /** The flaw of an id that the log never assigned. */
  flawOf(id: string): 'unknown' | 'diverged' | 'reset' | undefined {
    if (this.positionOf(id) !== undefined) return undefined
    if (parseCursor(id) === undefined) return 'unknown'
    return this.#names.indexOf(nameOf(id)) === this.epoch ? 'diverged' : 'reset'
  }

  entryAt({ epoch, seq }: Position): ModelEntry | undefined {
    return this.epochs[epoch]?.[seq - 1]
  }

  /** The entries of these channels after a position, up to a number. */
  addressed(channels: readonly Channel[], after: Position, upTo = Number.POSITIVE_INFINITY): ModelEntry[] {
    return (this.epochs[after.epoch] ?? []).slice(after.seq, upTo).filter((entry) => isFor(entry, channels))
  }
}

export function isFor(entry: { readonly channels: readonly Channel[] }, channels: readonly Channel[]): boolean {
  return entry.channels.some((channel) => channels.includes(channel))
}

export function isRetained(entry: ModelEntry, channels: readonly Channel[]): boolean {
  return channels.some((channel) => entry.retainedIn.has(channel))
}

/** Whether retention evicted it for a reader of these channels. */
export function isGone(entry: ModelEntry, channels: readonly Channel[]): boolean {
  return !isRetained(entry, channels) && channels.some((channel) => entry.evictedFrom.has(channel))
}

/** The part of an id that names the epoch. */
function nameOf(id: string): string {
  return id.slice(id.indexOf('.') + 1, id.indexOf('.') + 9)
}
