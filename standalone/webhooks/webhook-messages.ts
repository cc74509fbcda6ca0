import type { EventLog } from '../../services/event-log/event-log.ts'
import { userChannel } from '../../services/events/channel.ts'
import type { QueueEntry } from '../../services/queues/logged-queue.ts'

/** The content of a queue entry. An entry about an event is stored right before the event, in the same append. */
export type Notice =
  | { readonly type: 'user.online' | 'user.offline'; readonly user: string; readonly at: string }
  | { readonly type: 'event.undelivered'; readonly users: readonly string[] }

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
  const data = 'users' in notice ? await eventOf(log, entry, notice.users) : { user: notice.user, at: notice.at }
  if (typeof data === 'string') return data
  const body = JSON.stringify({ type: notice.type, timestamp: new Date(entry.time).toISOString(), data })
  // The specification signs the id, the time and the body with full stops between: an id has none.
  return { id: `msg_${entry.id.replaceAll('.', '_')}`, type: notice.type, body }
}

async function eventOf(log: EventLog, { cursor }: QueueEntry, users: readonly string[]): Promise<object | NoMessage> {
  const { events, gap } = await log.read({ channels: users.map(userChannel), from: cursor, limit: 1 })
  const [event] = events
  // Expired, retracted, replaced by its collapse key, or not appended because its idempotency key was known.
  if (event?.cursor?.seq !== cursor.seq + 1) return gap === undefined ? 'superseded' : 'evicted'
  return { users, id: event.id, event: event.event, data: event.data }
}
