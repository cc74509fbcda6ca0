import type { Retention } from '../../services/event-log/retention.ts'
import type { Channel } from '../../services/events/channel.ts'
import { parseCursor } from '../../services/events/cursor.ts'
import type { LogEvent } from '../../services/events/log-event.ts'

/** What a publisher asked for, beside what the log hands out. */
export interface Handling {
  readonly ttl?: number | undefined
  readonly collapseKey?: string | undefined
}

/** An event as the model remembers it: for ever, with what became of it. */
export interface ModelEntry extends Handling {
  readonly epoch: number
  readonly seq: number
  readonly id: string
  readonly channels: readonly Channel[]
  readonly event: string
  readonly data: string
  readonly at: number
  /** Where it is still held. */
  readonly heldIn: Set<Channel>
  /** Where retention dropped it: what came after a cursor, and is gone. */
  readonly evictedFrom: Set<Channel>
  /** Which eviction of the log's was the last that dropped it from somewhere. */
  eviction: number
  /** When it was outlived or replaced, which is no gap. */
  lapsedAt: number
}

/** A place in the log, as a client was told it. */
export interface Place {
  readonly epoch: number
  readonly seq: number
}

/**
 * The event log as its contract describes it, in the plainest way: one list a life, nothing ever deleted, every question
 * answered by looking at all of it. Shares no code with the real one.
 */
export class ModelLog {
  readonly retention: Pick<Retention, 'user' | 'topic' | 'everyone' | 'age'>
  /** The entries of each life, by number from 1. */
  readonly lives: ModelEntry[][] = []
  /** How many evictions there were. */
  evictions = 0
  readonly #names: string[] = []

  constructor(retention: Pick<Retention, 'user' | 'topic' | 'everyone' | 'age'>) {
    this.retention = retention
  }

  /** The life that the log is in. */
  get epoch(): number {
    return this.lives.length - 1
  }

  get head(): number {
    return this.#entries.length
  }

  get #entries(): ModelEntry[] {
    return this.lives[this.epoch] as ModelEntry[]
  }

  /** A new life begins; `id` is its cursor before the first event. */
  begin(id: string): void {
    this.lives.push([])
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
      heldIn: new Set(channels),
      evictedFrom: new Set(),
      eviction: 0,
      lapsedAt: Number.POSITIVE_INFINITY
    }
    for (const channel of channels) this.#file(entry, channel, now)
    this.#entries.push(entry)
    for (const channel of channels) this.#evict(channel)
  }

  #file(entry: ModelEntry, channel: Channel, now: number): void {
    if (entry.collapseKey === undefined) return
    const before = this.#entries.findLast(
      ({ heldIn, collapseKey }) => heldIn.has(channel) && collapseKey === entry.collapseKey
    )
    before?.heldIn.delete(channel)
    if (before?.heldIn.size === 0 && before.evictedFrom.size === 0) before.lapsedAt = now
  }

  #evict(channel: Channel): void {
    const { everyone: broadcast, user, topic } = this.retention
    const bound = channel === 'everyone' ? broadcast : channel.startsWith('u:') ? user : topic
    const retained = this.#entries.filter(({ heldIn }) => heldIn.has(channel))
    for (const entry of retained.slice(0, Math.max(0, retained.length - bound))) {
      entry.heldIn.delete(channel)
      entry.evictedFrom.add(channel)
      entry.eviction = ++this.evictions
    }
  }

  /** Drops what is too old, which is a gap, and what outlived its time to live, which is none. */
  expire(now: number): void {
    for (const entry of this.#entries) {
      if (entry.heldIn.size === 0) continue
      if (entry.ttl !== undefined && entry.at + entry.ttl <= now) {
        entry.heldIn.clear()
        entry.lapsedAt = Math.min(entry.lapsedAt, entry.at + entry.ttl)
      } else if (entry.at <= now - this.retention.age) {
        for (const channel of entry.heldIn) entry.evictedFrom.add(channel)
        entry.heldIn.clear()
        entry.eviction = ++this.evictions
      }
    }
  }

  /** The place that an id names, or undefined if the log never gave it out. */
  positionOf(id: string): Place | undefined {
    const cursor = parseCursor(id)
    const epoch = this.#names.indexOf(nameOf(id))
    if (cursor === undefined || epoch === -1) return undefined
    if (cursor.seq === 0) return { epoch, seq: 0 }
    return this.lives[epoch]?.[cursor.seq - 1]?.id === id ? { epoch, seq: cursor.seq } : undefined
  }

  /** What is wrong with an id that it never gave out. */
  flawOf(id: string): 'unknown' | 'diverged' | 'reset' | undefined {
    if (this.positionOf(id) !== undefined) return undefined
    if (parseCursor(id) === undefined) return 'unknown'
    return this.#names.indexOf(nameOf(id)) === this.epoch ? 'diverged' : 'reset'
  }

  entryAt({ epoch, seq }: Place): ModelEntry | undefined {
    return this.lives[epoch]?.[seq - 1]
  }

  /** What was addressed to these channels after a place, up to a number. */
  addressed(channels: readonly Channel[], after: Place, upTo = Number.POSITIVE_INFINITY): ModelEntry[] {
    return (this.lives[after.epoch] ?? []).slice(after.seq, upTo).filter((entry) => isFor(entry, channels))
  }
}

export function isFor(entry: { readonly channels: readonly Channel[] }, channels: readonly Channel[]): boolean {
  return entry.channels.some((channel) => channels.includes(channel))
}

export function isRetained(entry: ModelEntry, channels: readonly Channel[]): boolean {
  return channels.some((channel) => entry.heldIn.has(channel))
}

/** Whether retention took it away from whoever listens to these channels. */
export function isGone(entry: ModelEntry, channels: readonly Channel[]): boolean {
  return !isRetained(entry, channels) && channels.some((channel) => entry.evictedFrom.has(channel))
}

/** The part of an id that names the life of its log. */
function nameOf(id: string): string {
  return id.slice(id.indexOf('.') + 1, id.indexOf('.') + 9)
}
