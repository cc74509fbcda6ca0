import type { EventLog } from '../../services/event-log/event-log.ts'
import { type Channel, userChannel } from '../../services/events/channel.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { LogEvent } from '../../services/events/log-event.ts'
import type { QueueEntry } from '../../services/queues/logged-queue.ts'

/** The content of a queue entry. An entry about an event is stored right before the event, in the same append. */
export type Notice =
  | { readonly type: 'user.online' | 'user.offline'; readonly user: string; readonly at: string }
  | { readonly type: 'event.undelivered'; readonly users: readonly string[] }
  | ({ readonly type: 'event.unread' } & EventData)

/** An event, and those of its users whom the message is about. */
export interface EventData {
  readonly users: readonly string[]
  readonly id: string
  readonly event: string
  readonly data: string
}

/** A webhook message: what is sent, the same in each attempt. */
export interface WebhookMessage {
  readonly id: string
  readonly type: string
  readonly body: string
}

/** Why an entry has no message: its event is no longer wanted, or its history was evicted. */
export type NoMessage = 'superseded' | 'evicted'

/** Creates the message of a queue entry, and reads the event that it is about. */
export async function messageOf(log: EventLog, entry: QueueEntry): Promise<WebhookMessage | NoMessage> {
  const notice = JSON.parse(entry.data) as Notice
  const data = await dataOf(log, entry, notice)
  if (typeof data === 'string') return data
  const body = JSON.stringify({ type: notice.type, timestamp: new Date(entry.time).toISOString(), data })
  // The specification signs the id, the time and the body with full stops between: an id has none.
  return { id: `msg_${entry.id.replaceAll('.', '_')}`, type: notice.type, body }
}

async function dataOf(log: EventLog, entry: QueueEntry, notice: Notice): Promise<object | NoMessage> {
  if (notice.type !== 'event.undelivered') {
    const { type, ...data } = notice
    return data
  }
  const { users } = notice
  const found = await eventBehind(log, entry.cursor, 1, users.map(userChannel))
  return typeof found === 'string' ? found : eventData(found, users)
}

export function eventData({ id, event, data }: LogEvent, users: readonly string[]): EventData {
  return { users, id: id as string, event, data }
}

/** The event that was appended together with an entry, at a distance behind it. */
export async function eventBehind(
  log: EventLog,
  { seq, witness }: Cursor,
  distance: number,
  channels: readonly Channel[]
): Promise<LogEvent | NoMessage> {
  const { events, gap } = await log.read({ channels, from: { seq, witness }, limit: 1 })
  const [event] = events
  if (event?.cursor?.seq === seq + distance) return event
  // Expired, retracted, replaced by its collapse key, or not appended because its idempotency key was known.
  return gap === undefined ? 'superseded' : 'evicted'
}
