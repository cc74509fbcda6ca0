import type { CloseReason } from './close-reason.ts'
import { type Cursor, END_SUFFIX, formatCursor } from './cursor.ts'
import type { GapReason } from './gap-reason.ts'
import { formatComment, formatEvent } from './wire-format.ts'

/** The events that the hub itself puts on a stream. Publishers cannot use their names: `hub.` is reserved. */

/** The data of `hub.welcome`. */
export interface Welcome {
  /** The stream's id: what `DELETE /streams/:id` takes. */
  readonly stream: string
  readonly user: string | null
  /** Counts of the whole hub, where the option `onlineCounts` is on. */
  readonly online?: { readonly users: number; readonly streams: number }
  /** In milliseconds: a client that hears nothing for much longer knows that the stream is dead. */
  readonly heartbeatInterval: number
  /** Whether the stream goes on where the client's last event ID was, with nothing missing. */
  readonly resumed: boolean
  /** How many of the events that follow are history. */
  readonly replayed: number
}

/**
 * The first event of a stream, with the reconnection time in milliseconds. `cursor` is what the client comes back with if it
 * is cut before its first event.
 */
export function welcomeFrame(welcome: Welcome, reconnectionTime: number, cursor: Cursor | undefined): string {
  const data = JSON.stringify(welcome)
  return formatEvent({ event: 'hub.welcome', data, reconnectionTime, id: cursor && formatCursor(cursor) })
}

/** The first bytes of a stream whose welcome has to wait, or that has none: with them its client knows that it is open. */
export const GREETING = formatComment('')

/** History between a cursor and now is not all there; `oldest` is the id of the first event that is, if there is one. */
export function gapFrame(
  gap: { readonly from: Cursor | undefined; readonly oldest: string | null; readonly reason: GapReason },
  cursor: Cursor | undefined
): string {
  const data = { ...gap, from: gap.from === undefined ? null : formatCursor(gap.from) }
  return formatEvent({ event: 'hub.gap', data: JSON.stringify(data), id: cursor && formatCursor(cursor) })
}

/**
 * A named event with one empty line of data: comments are invisible to a page, and blocks with an id alone do not move the
 * cursor of every client.
 */
export function heartbeatFrame(cursor: Cursor | undefined): string {
  return formatEvent({ event: 'hub.heartbeat', data: '', id: cursor && formatCursor(cursor) })
}

/**
 * The last event of a stream that should come back, after so many milliseconds. `cursor` is for one that was not welcomed
 * yet, so that it too comes back to where it was.
 */
export function retryableCloseFrame(reason: CloseReason, reconnectionTime: number, cursor?: Cursor): string {
  const data = closeData(reason, true)
  return formatEvent({ event: 'hub.close', data, reconnectionTime, id: cursor && formatCursor(cursor) })
}

/** The last event of a stream that should not come back: its id says so to every node, should the client come nevertheless. */
export function finalCloseFrame(reason: CloseReason, cursor: Cursor | undefined): string {
  const id = (cursor === undefined ? '0' : formatCursor(cursor)) + END_SUFFIX
  return formatEvent({ event: 'hub.close', data: closeData(reason, false), id })
}

function closeData(reason: CloseReason, reconnect: boolean): string {
  return JSON.stringify({ reason, reconnect })
}
