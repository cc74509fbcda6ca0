import type { Channel } from '../events/channel.ts'
import type { Cursor } from '../events/cursor.ts'
import type { GapReason } from '../events/gap-reason.ts'
import type { LogEvent, NewEvent } from '../events/log-event.ts'
import type { LatencyHistogram } from '../latency-histogram.ts'

/**
 * The event log: ordered, bounded history, and the bus between nodes.
 *
 * The hub delivers only events from `tail`, never directly from an append, so that one node and many run the same code.
 * `contract.ts` is this contract as tests; an adapter is correct when it passes them.
 */
export interface EventLog {
  /**
   * Appends a batch atomically.
   *
   * - Every event that is not transient gets the next number of one sequence over all channels and all nodes, in the order
   *   of the batch, with no number skipped. Transient events get no number, but keep their order among the others in `tail`.
   * - An event whose idempotency key was appended in the same scope within the window is not appended again; its first receipt
   *   is returned. If the digest differs, the whole batch is rejected.
   * - When the promise is fulfilled, the events are as durable as the log promises, and `read` returns them.
   * @throws {IdempotencyKeyReusedError} when an idempotency key is reused with another digest.
   * @throws {LogUnavailableError} when nothing was appended, or, if the message says so, when that is unknown.
   * @throws {HubClosedError} after `close`.
   */
  append(events: readonly NewEvent[]): Promise<readonly Receipt[]>

  /**
   * Reads events of some channels from a position on, oldest first, each once even if it is filed under several of them.
   *
   * The cost depends on the result, not on the size of the log: a page ends with the event that brings its data to 1 Mi UTF-16
   * units, even below `limit`. Never throws for a cursor: one that the log does not recognise yields a gap, and all retained
   * events. May return the result without a promise, if all of it is in memory.
   */
  read(query: ReadQuery): ReadResult | Promise<ReadResult>

  /**
   * Passes every event that any node appends to the listener, once, in order of the sequence, and never before `read` returns
   * it. Begins after the returned position. Survives a lost connection by resuming after the last event that it dispatched;
   * if that is no longer retained, or no longer the same, it calls `onDiscontinuity` instead of skipping.
   * @param options.byInterest only the events of the channels in the tail's `interest`, and those for everyone. A log may
   * pass all events nevertheless; then the tail has no `interest`.
   */
  tail(listener: TailListener, options?: { readonly byInterest?: boolean | undefined }): Promise<Tail>

  /** Closes the log; idempotent. After it resolves, the log calls no listener and has no open handle. */
  close(): Promise<void>

  /** The log's part of the hub's `stats()`. The cost does not grow with the log. */
  stats(): LogStats
}

/** The result of appending one event. */
export interface Receipt {
  /** The event's cursor as text, or null if it is transient, or if its `retracts` or `replaces` did not apply. */
  readonly id: string | null
  /** `streams` of the event as it was appended. */
  readonly streams: number
  /** Whether the idempotency key was known, so that nothing was appended: all else is from the first receipt. */
  readonly isRepeat: boolean
}

/** The start of a read: after a cursor, at the oldest retained event, at the newest `last` events, or at the head. */
export type ReadFrom = Cursor | 'oldest' | 'head' | { readonly last: number }

export interface ReadQuery {
  readonly channels: readonly Channel[]
  readonly from: ReadFrom
  /** Max. number of events; at least 1. */
  readonly limit: number
  /**
   * Whether the reader goes on with the events of the tail: then the result may end at the position of this node's tail, a
   * moment behind the log, and `evicted` need be exact only if there is a gap. So a node can answer from recent events in
   * memory, without a query to its store.
   * @default false
   */
  readonly isTailed?: boolean | undefined
  /**
   * Called before a queued read begins; if it returns false, the read is skipped and the promise rejected.
   * @default the read is wanted
   */
  readonly isWanted?: (() => boolean) | undefined
}

/** A page of `read` ends with the event that brings its data to this many UTF-16 units. */
export const MAX_PAGE_TEXT = 1_048_576

export interface ReadResult {
  readonly events: readonly LogEvent[]
  /**
   * Number of further retained events of these channels after `events`. 0 means complete. Otherwise at least 1, and exact
   * unless an event is filed under several of the channels.
   */
  readonly remaining: number
  /**
   * The cursor for the next read: the head of the log if nothing remains, else the last of `events`. All retained events of
   * these channels up to it have been returned.
   */
  readonly next: Cursor
  /** The highest number that was evicted from any of these channels; 0 without evictions. */
  readonly evicted: number
  /** Present if and only if an event after the cursor `from`, filed under one of the channels, is no longer retained. */
  readonly gap?: GapReason | undefined
}

export interface TailListener {
  /** Must not throw. */
  onEvents(events: readonly LogEvent[]): void
  /** The tail has lost events after the last one that it dispatched; the listener reads history again. */
  onDiscontinuity(position: Cursor): void
  /** The log has events up to this head, and the tail has dispatched all among them that are for its listener. */
  onHead?(head: Cursor): void
  /** Events of these channels may be missing that came before their registration: their readers read history again. */
  onLate?(channels: readonly Channel[]): void
}

/** The channels whose events a tail passes to its listener, each counted as often as it was added. */
export interface Interest {
  /**
   * Adds channels. Returns a promise unless all their later events come already. It is fulfilled when they do, and never
   * rejected: if the log cannot be reached, the listener's `onLate` is called once they do.
   */
  add(channels: readonly Channel[]): Promise<void> | undefined
  /** The same for a listener that does not wait: `onLate` is called unless all their later events come already. */
  addAtOnce(channels: readonly Channel[]): void
  /** Removes channels. The interest in them ends some time later. */
  delete(channels: readonly Channel[]): void
}

export interface Tail {
  /**
   * The head of the log when the tail began: every later event is dispatched. Undefined if the log could not be reached yet;
   * then `onDiscontinuity` passes the position once it is known.
   */
  readonly position: Cursor | undefined
  /** Of a tail by interest. */
  readonly interest?: Interest | undefined
  /** After it resolves, the listener is not called. */
  stop(): Promise<void>
}

export interface LogStats {
  /** The kind of log, for display: `memory`, `embedded`, `redis`. */
  readonly kind: string
  readonly events: number
  readonly bytes: number
  readonly channels: number
  /** The number of the newest event; 0 in a new log. */
  readonly head: number
  /** Whether an inbox has an event. */
  readonly hasInboxes: boolean
  /** The number of events that retention has removed, if the log counts them. */
  readonly removed?: RemovedCounts | undefined
  /** The connection of a log on another machine. */
  readonly connection?: LogConnection | undefined
}

/** How many events this node has removed from channels since it opened the log; an event counts in each of its channels. */
export interface RemovedCounts {
  /** Too many, too large or too old: clients that missed them have a gap. */
  readonly evicted: number
  /** Past their `ttl`, which is not a gap. */
  readonly expired: number
}

export interface LogConnection {
  readonly isUp: boolean
  /** The duration of the last command, in milliseconds. */
  readonly roundTrip: number
}

/** A log on another machine, which measures its connection. */
export interface MeasuredConnection {
  /** The durations of all commands with a reply so far. */
  readonly roundTrips: LatencyHistogram
}

/** The health of a log that can fail. The hub is ready only while the log is. */
export interface HealthCheck {
  /** Whether an append would be accepted now. */
  ready(): Promise<boolean>
}
