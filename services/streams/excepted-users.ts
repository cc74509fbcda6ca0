import type { ReadResult } from '../event-log/event-log.ts'
import type { LogEvent } from '../events/log-event.ts'

/**
 * The page without the events that except the user. It ends at the same position, so that a replay goes on behind a page of
 * such events alone.
 */
export function addressedTo(user: string | null, page: ReadResult): ReadResult {
  if (user === null || !page.events.some((event) => isExcepted(user, event))) return page
  return { ...page, events: page.events.filter((event) => !isExcepted(user, event)) }
}

function isExcepted(user: string, { except }: LogEvent): boolean {
  return except?.includes(user) === true
}
