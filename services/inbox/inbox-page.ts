import { UnknownCursorError } from '../errors.ts'
import type { EventLog, ReadFrom } from '../event-log/event-log.ts'
import { inboxChannel } from '../events/channel.ts'
import { type Cursor, formatCursor, parseCursor } from '../events/cursor.ts'
import { type HistoryEvent, historyEventOf } from '../events/history-event.ts'
import type { LogEvent } from '../events/log-event.ts'
import { countAfter, readStateOf } from './unread.ts'

export interface InboxQuery {
  /** The id after which the page ends: only newer events are on it. */
  readonly after?: string | undefined
  /** The id before which the page begins: only older events are on it. `next` of the page before. */
  readonly before?: string | undefined
  /** The maximum number of events, 1 to 1,000; default 100. */
  readonly limit?: number | undefined
}

export interface InboxEvent extends HistoryEvent {
  readonly isRead: boolean
}

export interface InboxPage {
  /** The newest first. */
  readonly events: InboxEvent[]
  /** How many events of the whole inbox are unread. */
  readonly unread: number
  /** The read cursor: events up to it are read. Null if the user has never marked anything as read. */
  readonly readUpTo: string | null
  /** Pass it as `before` for the next page, of older events; null on the last page. */
  readonly next: string | null
}

/**
 * Reads a page of a user's inbox, the newest events first.
 * @throws {UnknownCursorError} for an `after` or `before` that the log does not know.
 */
export async function readInbox(
  log: EventLog,
  user: string,
  { after, before, limit }: InboxQuery & { readonly limit: number }
): Promise<InboxPage> {
  const [state, floor, ceiling] = await Promise.all([
    readStateOf(log, user),
    after === undefined ? undefined : known(log, user, after),
    before === undefined ? undefined : known(log, user, before)
  ])
  const [unread, found] = await Promise.all([
    countAfter(log, user, state?.upTo ?? 'oldest'),
    // One more than requested shows whether there is another page.
    newestBefore(log, user, ceiling, limit + 1)
  ])
  const page = found.filter(({ cursor }) => (cursor?.seq ?? 0) > (floor?.cursor.seq ?? -1)).slice(-limit)
  const hasMore = found.length > limit && page.length === limit && isNewer(found.at(-limit - 1), floor?.cursor)
  return {
    events: page.reverse().map((event) => asInboxEvent(event, state?.upTo)),
    unread: unread.count,
    readUpTo: state === undefined ? null : formatCursor(state.upTo),
    next: hasMore ? (page.at(-1)?.id ?? null) : null
  }
}

interface Position {
  readonly cursor: Cursor
  /** The number of events in the inbox after it. */
  readonly count: number
}

async function known(log: EventLog, user: string, id: string): Promise<Position> {
  const cursor = parseCursor(id)
  if (cursor === undefined) throw new UnknownCursorError(JSON.stringify(id.slice(0, 40)))
  const { count, isKnown } = await countAfter(log, user, cursor)
  if (!isKnown) throw new UnknownCursorError(JSON.stringify(id))
  return { cursor, count }
}

/**
 * The newest events of an inbox before a position, the oldest first. Their beginning is found by counting back from the end,
 * and they are read up to the position: events that come or go meanwhile cannot leave out one of them.
 */
async function newestBefore(
  log: EventLog,
  user: string,
  position: Position | undefined,
  count: number
): Promise<LogEvent[]> {
  const end = position?.cursor.seq ?? Number.POSITIVE_INFINITY
  let from: ReadFrom = { last: count + (position === undefined ? 0 : position.count + 1) }
  const found: LogEvent[] = []
  for (;;) {
    const page = await log.read({ channels: [inboxChannel(user)], from, limit: count })
    found.push(...page.events.filter(({ cursor }) => (cursor?.seq ?? 0) < end))
    from = page.next
    if (page.remaining === 0 || page.next.seq >= end) return found.slice(-count)
  }
}

function isNewer(event: LogEvent | undefined, floor: Cursor | undefined): boolean {
  return (event?.cursor?.seq ?? 0) > (floor?.seq ?? -1)
}

function asInboxEvent(event: LogEvent, upTo: Cursor | undefined): InboxEvent {
  return { ...historyEventOf(event), isRead: (event.cursor?.seq ?? 0) <= (upTo?.seq ?? 0) }
}
