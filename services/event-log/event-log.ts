import type { Channel } from '../events/channel.ts'
import type { Cursor } from '../events/cursor.ts'
import type { GapReason } from '../events/gap-reason.ts'
import type { LogEvent, NewEvent } from '../events/log-event.ts'

/**
 * The event log: ordered, bounded history, and the bus between nodes. Four verbs.
 *
 * The hub delivers only what `tail` hands back, never what it has just appended, so that one node and many run the same code.
 * `contract.ts` is this contract as tests; an adapter is right when it passes them.
 */
export interface EventLog {
  /**
   * Appends a batch: all of it, or nothing.
   *
   * - Every event that is not transient gets the next number of one sequence over all channels and all nodes, in the order
   *   of the batch, with nothing between. Transient events get none, but keep their place among the others in `tail`.
   * - An event whose idempotency key was appended in the same scope within the window is not appended again; its first receipt
   *   is returned. If the digest differs, the whole batch is refused.
   * - When the promise is fulfilled, the events are as durable as the log promises, and `read` shows them.
   * @throws {IdempotencyKeyReusedError} when an idempotency key comes again with another digest.
   * @throws {LogUnavailableError} when nothing was appended. Whoever does not know says so in the message.
   * @throws {HubClosedError} after `close`.
   */
  append(events: readonly NewEvent[]): Promise<readonly Receipt[]>

  /**
   * The events of some channels from a place on, oldest first, each once though it be filed under several of them.
   *
   * Costs what it returns, not what the log holds: a page ends with the event that brings its data to 1 Mi letters, however many
   * more were asked for. Never throws for a cursor, whatever it is: one that the log does not
   * recognise yields a gap, and everything that is held. May answer at once, without a promise, if it holds all in memory.
   */
  read(query: ReadQuery): ReadResult | Promise<ReadResult>

  /**
   * Hands every event that any node appends to the listener, once, in order of the sequence, and never before `read` shows
   * it. Begins after the returned position. Survives a lost connection by resuming after the last event that it handed over;
   * if that is no longer held, or no longer the same, it calls `onDiscontinuity` instead of skipping.
   */
  tail(listener: TailListener): Promise<Tail>

  /** Lets go of everything. May be called again. When it resolves, no listener is called any more and no handle is left. */
  close(): Promise<void>

  /** What `stats()` shows of the log. Costs nothing that grows with it. */
  stats(): LogStats
}

/** What the log gives back for an event. */
export interface Receipt {
  /** The event's cursor as text, or null if it is transient. */
  readonly id: string | null
  /** `streams` of the event as it was appended. */
  readonly streams: number
  /** Whether nothing was appended, because the idempotency key is known: then all else is of the first receipt. */
  readonly isRepeat: boolean
}

/** Where to begin: after a cursor, with the oldest that is held, with the newest `last`, or with what comes next. */
export type ReadFrom = Cursor | 'oldest' | 'head' | { readonly last: number }

export interface ReadQuery {
  readonly channels: readonly Channel[]
  readonly from: ReadFrom
  /** At most so many events; at least 1. */
  readonly limit: number
  /**
   * The reader is handed by the tail what comes next: then the answer may end where the tail of this node is, a moment behind
   * the log, and `evicted` need be exact only if there is a gap. A node can so answer of what it has just heard, without
   * asking its store.
   * @default false
   */
  readonly isTailed?: boolean | undefined
  /**
   * Asked once more before a read that had to wait begins: false, and it is not made, and the promise is rejected.
   * @default it is wanted
   */
  readonly isWanted?: (() => boolean) | undefined
}

/** A page of `read` ends with the event that brings its data to so many UTF-16 units. */
export const MAX_PAGE_TEXT = 1_048_576

export interface ReadResult {
  readonly events: readonly LogEvent[]
  /**
   * How many more are held for these channels after `events`. 0 means complete. Otherwise at least 1, and exact unless an
   * event is filed under several of the channels.
   */
  readonly remaining: number
  /**
   * Where to read on from: the head of the log if nothing remains, else the last of `events`. Everything up to it that is
   * held for these channels has been returned.
   */
  readonly next: Cursor
  /** The highest number that was evicted from any of these channels; 0 if none was. */
  readonly evicted: number
  /** Present if and only if something after the cursor `from`, filed under one of the channels, is no longer held. */
  readonly gap?: GapReason | undefined
}

export interface TailListener {
  /** Must not throw. */
  onEvents(events: readonly LogEvent[]): void
  /** Part of what came after the last event handed over is lost to the tail; the listener reads history again. */
  onDiscontinuity(position: Cursor): void
}

export interface Tail {
  /**
   * The head of the log when the tail began: every later event is handed over. Undefined if the log could not be reached yet;
   * then `onDiscontinuity` tells the position once it is known.
   */
  readonly position: Cursor | undefined
  /** When it resolves, the listener is not called any more. */
  stop(): Promise<void>
}

export interface LogStats {
  /** What kind of log this is, for people: `memory`, `embedded`, `redis`. */
  readonly kind: string
  readonly events: number
  readonly bytes: number
  readonly channels: number
  /** The number of the newest event; 0 if there was none. */
  readonly head: number
}

/** A log that can fall ill tells its health; the hub is ready only while it is well. */
export interface HealthCheck {
  /** Whether an append would be taken now. */
  ready(): Promise<boolean>
}
