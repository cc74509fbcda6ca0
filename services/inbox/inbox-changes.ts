import { LogUnavailableError, UnknownCursorError } from '../errors.ts'
import type { EventLog } from '../event-log/event-log.ts'
import {
  type Channel,
  inboxChannel,
  isInboxChannel,
  readChannel,
  userChannel,
  userOfChannel,
  userOfInbox
} from '../events/channel.ts'
import { formatCursor, parseCursor } from '../events/cursor.ts'
import type { LogEvent, NewEvent } from '../events/log-event.ts'
import { countAfter, countUnread, READ_EVENT, readStateOf } from './unread.ts'

/** The name of the event that retracts another one. */
const RETRACT_EVENT = 'hub.retract'
/** How often a read cursor is moved again after another call has moved it meanwhile. */
const ATTEMPTS = 20

const NOBODY: readonly string[] = []

/** A user's read cursor, and how many events of the inbox are newer. */
export interface Read {
  readonly upTo: string
  readonly unread: number
}

/**
 * Moves a user's read cursor forward. The log appends the event only while the read cursor is the one that was read here, so
 * that no node moves it back. An older `upTo` changes nothing.
 * @throws {UnknownCursorError} for an id that the log does not know.
 */
export async function markRead(log: EventLog, user: string, upTo: string): Promise<Read> {
  const cursor = parseCursor(upTo)
  if (cursor === undefined) throw new UnknownCursorError(JSON.stringify(upTo.slice(0, 40)))
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [state, { count, isKnown }] = await Promise.all([readStateOf(log, user), countAfter(log, user, cursor)])
    if (!isKnown) throw new UnknownCursorError(JSON.stringify(upTo))
    if (state !== undefined && state.upTo.seq >= cursor.seq)
      return { upTo: formatCursor(state.upTo), unread: await countUnread(log, user) }
    const read = { upTo: formatCursor(cursor), unread: count }
    const [receipt] = await log.append([
      {
        ...ownEvent(READ_EVENT, [userChannel(user), readChannel(user)], read),
        collapseKey: READ_EVENT,
        replaces: state?.seq ?? 0
      }
    ])
    if (receipt?.id != null) return read
  }
  throw new LogUnavailableError('other calls keep moving the read cursor. Try again later')
}

/** Retracts an event, from the inbox and history of one user or of all; false if there is no such event. */
export async function retract(log: EventLog, id: string, user: string | undefined): Promise<boolean> {
  const cursor = parseCursor(id)
  if (cursor === undefined) return false
  const channels = user === undefined ? [] : [userChannel(user), inboxChannel(user)]
  const [receipt] = await log.append([{ ...ownEvent(RETRACT_EVENT, channels, { id }), retracts: cursor }])
  return receipt?.id != null
}

/** The users whose unread count an event may change. */
export function usersTouched({ channels, event }: LogEvent): readonly string[] {
  if (event !== RETRACT_EVENT && !channels.some(isInboxChannel)) return NOBODY
  const userOf = event === RETRACT_EVENT ? userOfChannel : userOfInbox
  return [...new Set(channels.flatMap((channel) => userOf(channel) ?? []))]
}

function ownEvent(event: string, channels: readonly Channel[], data: object): NewEvent {
  return { channels, event, data: JSON.stringify(data), transient: false, final: false, streams: 0 }
}
