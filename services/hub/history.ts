import type { EventLog } from '../event-log/event-log.ts'
import { formatCursor, parseCursor } from '../events/cursor.ts'
import { type HistoryEvent, historyEventOf } from '../events/history-event.ts'
import { checkHistoryQuery, checkLimit, type HistoryOf, type HistoryQuery, historyChannel } from './history-query.ts'

export interface HistoryPage {
  /** The oldest first. */
  readonly events: HistoryEvent[]
  /** Whether the history after `after` has no gap and ends with this page. */
  readonly complete: boolean
  /** The end of this page: pass it as `after`, or to an event source as `lastEventId`. */
  readonly cursor: string
}

/** Reads a page of one channel's history from the log; see `Hub.history()`. */
export async function readHistory(log: EventLog, of: HistoryOf, query: HistoryQuery): Promise<HistoryPage> {
  const { after, limit = 100 } = checkHistoryQuery(query)
  const from = after === undefined ? undefined : parseCursor(after)
  const channels = [historyChannel(of)]
  const page = await log.read({ channels, from: from ?? 'oldest', limit: checkLimit(limit) })
  const isKnown = after === undefined || from !== undefined
  return {
    events: page.events.map(historyEventOf),
    complete: page.remaining === 0 && page.gap === undefined && isKnown,
    cursor: formatCursor(page.next)
  }
}
