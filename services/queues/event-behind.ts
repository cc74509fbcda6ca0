import type { EventLog } from '../event-log/event-log.ts'
import type { Channel } from '../events/channel.ts'
import type { Cursor } from '../events/cursor.ts'
import type { LogEvent } from '../events/log-event.ts'

/** Why an entry has no event: the event is no longer wanted, or its history was evicted. */
export type NoEvent = 'superseded' | 'evicted'

/** The event that was appended together with an entry, at a distance behind it. */
export async function eventBehind(
  log: EventLog,
  { seq, witness }: Cursor,
  distance: number,
  channels: readonly Channel[]
): Promise<LogEvent | NoEvent> {
  const { events, gap } = await log.read({ channels, from: { seq, witness }, limit: 1 })
  const [event] = events
  if (event?.cursor?.seq === seq + distance) return event
  // Expired, retracted, replaced by its collapse key, or not appended because its idempotency key was known.
  return gap === undefined ? 'superseded' : 'evicted'
}
