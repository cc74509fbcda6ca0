import type { CloseReason } from './close-reason.ts'
import { type Cursor, END_SUFFIX, formatCursor } from './cursor.ts'
import type { GapReason } from './gap-reason.ts'
import { formatComment, formatEvent } from './wire-format.ts'

/** The hub's own events. Publishers cannot use their names: `hub.` is reserved. */

/** The data of `hub.welcome`. */
export interface Welcome {
  /** The stream's id, for `DELETE /streams/:id`. */
  readonly stream: string
  readonly user: string | null
  /** The topics that the stream listens to: those of the identity, and those that were requested and granted. */
  readonly topics: readonly string[]
  /** When the identity of the stream expires, as an ISO 8601 date; left out if it does not. */
  readonly expiresAt?: string
  /** In how many milliseconds it expires: the clock of a client may be wrong. */
  readonly expiresIn?: number
  /** Counts of the whole hub, where the option `onlineCounts` is on. */
  readonly online?: { readonly users: number; readonly streams: number }
  /** In milliseconds: after a much longer silence a client knows that the stream is dead. */
  readonly heartbeatInterval: number
  /** Whether the stream resumes after the client's last event ID without a gap. */
  readonly resumed: boolean
  /** The number of the following events that are history. */
  readonly replayed: number
  /** The number of unread events in the user's inbox, while inboxes are in use. */
  readonly unread?: number
}

/**
 * The first event of a stream, with the reconnection time in milliseconds. A client that is cut before its next event returns
 * with `cursor`.
 */
export function welcomeFrame(welcome: Welcome, reconnectionTime: number, cursor: Cursor | undefined): string {
  const data = JSON.stringify(welcome)
  return formatEvent({ event: 'hub.welcome', data, reconnectionTime, id: cursor && formatCursor(cursor) })
}

/** Reports the topics of a stream after a change. Events of new topics come after it, and after `cursor`. */
export function topicsFrame(topics: readonly string[], cursor: Cursor | undefined): string {
  return formatEvent({ event: 'hub.topics', data: JSON.stringify({ topics }), id: cursor && formatCursor(cursor) })
}

/** How many events in the user's inbox are unread now. Without an id: the number is not part of history. */
export function unreadFrame(unread: number): string {
  return formatEvent({ event: 'hub.unread', data: JSON.stringify({ unread }) })
}

/** The first bytes of a stream whose welcome has to wait, or that has none: they open the client's event source. */
export const GREETING = formatComment('')

/** Reports that history after a cursor is incomplete. `oldest` is the id of the first event that remains, if there is one. */
export function gapFrame(
  gap: { readonly from: Cursor | undefined; readonly oldest: string | null; readonly reason: GapReason },
  cursor: Cursor | undefined
): string {
  const data = { ...gap, from: gap.from === undefined ? null : formatCursor(gap.from) }
  return formatEvent({ event: 'hub.gap', data: JSON.stringify(data), id: cursor && formatCursor(cursor) })
}

/**
 * A named event with one empty line of data. A page cannot see comments, and a block with only an id does not move the cursor
 * of every client.
 */
export function heartbeatFrame(cursor: Cursor | undefined): string {
  return formatEvent({ event: 'hub.heartbeat', data: '', id: cursor && formatCursor(cursor) })
}

/**
 * The last event of a stream whose client should return after so many milliseconds. A stream without a welcome yet passes its
 * `cursor`, so that its client resumes there as well.
 */
export function retryableCloseFrame(reason: CloseReason, reconnectionTime: number, cursor?: Cursor): string {
  const data = closeData(reason, true)
  return formatEvent({ event: 'hub.close', data, reconnectionTime, id: cursor && formatCursor(cursor) })
}

/** The last event of a stream whose client should not return. If it does, its id shows every node that the stream has ended. */
export function finalCloseFrame(reason: CloseReason, cursor: Cursor | undefined): string {
  const id = (cursor === undefined ? '0' : formatCursor(cursor)) + END_SUFFIX
  return formatEvent({ event: 'hub.close', data: closeData(reason, false), id })
}

function closeData(reason: CloseReason, reconnect: boolean): string {
  return JSON.stringify({ reason, reconnect })
}
