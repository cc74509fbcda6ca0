import type { EventLog } from '../event-log/event-log.ts'
import type { CloseReason } from '../events/close-reason.ts'
import type { Cursor } from '../events/cursor.ts'
import type { Welcome } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import type { DeliveryCounts } from './delivery-counts.ts'
import type { Beginning } from './stream-position.ts'
import type { TopicRights } from './topic-rights.ts'

/** Counts the unread events of the users' inboxes for their streams. */
export interface UnreadCounts<Stream> {
  /** Whether any inbox is in use: then a welcome carries the count. */
  readonly isInUse: boolean
  /** The count for a welcome; undefined after a failure, after which the stream is notified later. Never rejects. */
  countFor(stream: Stream, user: string): number | undefined | Promise<number | undefined>
  /** Whether an event touches the inbox of a user. */
  touches(event: LogEvent, user: string): boolean
  /** Takes an event that the log's tail has dispatched to the streams. */
  onEvent(event: LogEvent): void
  /** The stream gets the number after its pending events. */
  notifySoon(stream: Stream): void
}

/** The part of the hub that a stream uses. */
export interface StreamHost<Stream> {
  readonly log: EventLog
  /** The newest event that the log's tail has dispatched. A live stream has been assigned all events up to it. */
  readonly head: Cursor
  /** The monotonic time in milliseconds. */
  readonly now: number
  readonly maxEventBytes: number
  readonly unread: UnreadCounts<Stream>
  readonly counts: DeliveryCounts
  flushSoon(stream: Stream): void
  catchUpSoon(stream: Stream): void
  /** Reading history failed. The host calls `startReplay` later; a stream without a welcome closes itself instead. */
  onReadError(stream: Stream, error: unknown): void
  onRead(): void
  /** The sink failed while it was ended. */
  onSinkError(stream: Stream, error: unknown): void
  /** The data of the stream's welcome, or undefined if the hub sends none. */
  welcome(stream: Stream, resumed: boolean, replayed: number, unread: number | undefined): Welcome | undefined
  /** A jittered reconnection time in milliseconds: for a stream that opens, or for one of many that close. */
  reconnectionTime(isClosing: boolean): number
  /** Changes the topics of an open stream; see `TopicChanges.change`. */
  changeTopics(stream: Stream, update: (topics: readonly string[]) => readonly string[]): Promise<boolean>
  onBackpressure(stream: Stream): void
  onClosed(stream: Stream, reason: CloseReason, reconnect: boolean): void
}

export interface StreamInit {
  readonly id: string
  readonly user: string | null
  readonly address: string
  readonly forwardedFor?: string | undefined
  readonly topics: readonly string[]
  /** The stream ends after the first final event. */
  readonly follows: boolean
  readonly beginning: Beginning
  /** When the stream was opened, in milliseconds since the epoch. */
  readonly since: number
  /** When the identity expires, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined
  readonly rights?: TopicRights | undefined
}
