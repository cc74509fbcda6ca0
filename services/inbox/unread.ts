import type { EventLog, ReadFrom } from '../event-log/event-log.ts'
import { inboxChannel, readChannel } from '../events/channel.ts'
import { type Cursor, parseCursor } from '../events/cursor.ts'
import { andThen } from './maybe-async.ts'

/** The name and the collapse key of the event that moves a read cursor. */
export const READ_EVENT = 'hub.read'

/** A user's read cursor, and the number of the event that moved it there. */
export interface ReadState {
  readonly upTo: Cursor
  readonly seq: number
}

/** The number of events in an inbox after a position, and whether the log knows that position. */
export interface Count {
  readonly count: number
  readonly isKnown: boolean
}

/** The user's read cursor, or undefined if the user has never marked anything as read. */
export function readStateOf(log: EventLog, user: string): ReadState | undefined | Promise<ReadState | undefined> {
  const query = { channels: [readChannel(user)], from: { last: 1 }, limit: 1 }
  return andThen(log.read(query), ({ events: [newest] }) => {
    const upTo = parseCursor(upToIn(newest?.data))
    return newest?.cursor == null || upTo === undefined ? undefined : { upTo, seq: newest.cursor.seq }
  })
}

function upToIn(data = '{}'): string {
  const { upTo } = JSON.parse(data) as { upTo?: unknown }
  return typeof upTo === 'string' ? upTo : ''
}

/** Counts the events in a user's inbox after a position. The log counts by bisection, and reads at most one of them. */
export function countAfter(log: EventLog, user: string, from: ReadFrom): Count | Promise<Count> {
  return andThen(log.read({ channels: [inboxChannel(user)], from, limit: 1 }), ({ events, remaining, gap }) => ({
    count: events.length + remaining,
    isKnown: gap === undefined || gap === 'evicted'
  }))
}

/** Counts the events in a user's inbox after the read cursor. */
export function countUnread(log: EventLog, user: string): number | Promise<number> {
  return andThen(readStateOf(log, user), (state) =>
    andThen(countAfter(log, user, state?.upTo ?? 'oldest'), ({ count }) => count)
  )
}
