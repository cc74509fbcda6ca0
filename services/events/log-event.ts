import type { Channel } from './channel.ts'
import type { Cursor } from './cursor.ts'

/** Whether an event ends the streams that follow its topic: `true` with success, `failed` with a failure. */
export type Final = boolean | 'failed'

/** An event on its way into the log. */
export interface NewEvent {
  /** The channels that file the event: at least one, none twice. */
  readonly channels: readonly Channel[]
  readonly event: string
  readonly data: string
  /** Milliseconds after which the event is neither replayed nor retained; its absence is not a gap. */
  readonly ttl?: number | undefined
  /** In each channel the event replaces the one with the same key, whose absence is not a gap. */
  readonly collapseKey?: string | undefined
  readonly idempotency?: Idempotency | undefined
  /** The tail dispatches the event, but the log neither numbers nor retains it. */
  readonly transient: boolean
  readonly final: Final
  /** Users whose streams do not receive the event: the log stores and returns their names, and does not interpret them. */
  readonly except?: readonly string[] | undefined
  /** The trace that published the event, which the log stores and returns: see `trace.ts`. */
  readonly trace?: string | undefined
  /** The number of open streams that the event is addressed to, stored with the idempotency key for a repeated receipt. */
  readonly streams: number
  /**
   * The event replaces the event at this position, which is removed in the same append, without a gap: from the channels of
   * this event, or, if it has none, from all its own. This event is then filed under those of them that are no inbox. Nothing is
   * appended, and the receipt has neither id nor streams, unless each of the inboxes among the channels, and one of all channels,
   * retains that event, and one of them is no inbox. An event whose name begins with `hub.` cannot be retracted.
   */
  readonly retracts?: Cursor | undefined
  /**
   * The number of the event of the same collapse key that each inbox among the channels retains, or 0. If another event was
   * appended meanwhile, nothing is appended, and the receipt has neither id nor streams.
   */
  readonly replaces?: number | undefined
}

/** The values by which the log appends an event once: short texts that it compares and never interprets. */
export interface Idempotency {
  /** Keys of different scopes never collide. Each scope holds a bounded number of keys, and evicts its own oldest. */
  readonly scope: string
  readonly key: string
  /** Equal for events of equal content. */
  readonly digest: string
}

/** An event of the log. The log may return the same object many times; no property of it changes but `frame`. */
export interface LogEvent {
  /** The event's position, or null if it is transient. */
  readonly cursor: Cursor | null
  /** The cursor as text, or null if the event is transient. */
  readonly id: string | null
  readonly channels: readonly Channel[]
  readonly event: string
  readonly data: string
  /** When the event was appended, in milliseconds since the Unix epoch. Informative: the sequence alone defines the order. */
  readonly time: number
  /**
   * When the event was appended, on the monotonic clock of this process, as exactly as the log knows; or a little later, never
   * earlier. Undefined if the log dispatches events at the moment of their append.
   */
  readonly appendedAt?: number | undefined
  readonly final: Final
  /** Users whose streams do not receive the event. */
  readonly except?: readonly string[] | undefined
  /** The trace that published the event; undefined if no trace was active. */
  readonly trace?: string | undefined
  /** The event's wire text, once a replay has encoded it. */
  frame: string | undefined
}
