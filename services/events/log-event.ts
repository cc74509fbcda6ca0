import type { Channel } from './channel.ts'
import type { Cursor } from './cursor.ts'

/** An event on its way into the log. */
export interface NewEvent {
  /** Where it is filed: at least one, none twice. */
  readonly channels: readonly Channel[]
  readonly event: string
  readonly data: string
  /** Milliseconds after which it is neither replayed nor kept; its absence is no gap. */
  readonly ttl?: number | undefined
  /** In each of its channels it takes the place of the event that had the same key; that one's absence is no gap. */
  readonly collapseKey?: string | undefined
  readonly idempotency?: Idempotency | undefined
  /** Handed to `tail`, but neither numbered nor kept. */
  readonly transient: boolean
  readonly final: boolean
  /** How many open streams it is addressed to: kept beside the idempotency key, so that the receipt can be given again. */
  readonly streams: number
}

/** What makes an event append once. The three are short texts that the log compares and never interprets. */
export interface Idempotency {
  /** Keys of different scopes never meet. Each scope holds so many keys; beyond that it loses its own oldest. */
  readonly scope: string
  readonly key: string
  /** Equal for events of equal content. */
  readonly digest: string
}

/** An event as the log hands it out. The same object may be handed out many times; nobody changes it but `frame`. */
export interface LogEvent {
  /** Its place, or null if it is transient. */
  readonly cursor: Cursor | null
  /** Its cursor as text, or null if it is transient. */
  readonly id: string | null
  readonly channels: readonly Channel[]
  readonly event: string
  readonly data: string
  /** When it was appended, in milliseconds since the epoch. For people to read; order is by the sequence alone. */
  readonly time: number
  /**
   * When it was appended, on this process's clock that never jumps, as well as the log knows; or a little later, never earlier.
   * Undefined if the log hands events over the moment that they are appended.
   */
  readonly appendedAt?: number | undefined
  readonly final: boolean
  /** The hub's encoded form, kept beside the event so that it is made once, however many streams are given it. */
  frame: string | undefined
}
