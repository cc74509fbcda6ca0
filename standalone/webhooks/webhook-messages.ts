import type { EventLog } from '../../services/event-log/event-log.ts'
import { userChannel } from '../../services/events/channel.ts'
import type { LogEvent } from '../../services/events/log-event.ts'
import type { Unread } from '../../services/hub/hub-events.ts'
import { eventBehind, type NoEvent } from '../../services/queues/event-behind.ts'
import type { QueueEntry } from '../../services/queues/logged-queue.ts'

/** The content of a queue entry. An entry about an event is stored right before the event, in the same append. */
export type Notice =
  | { readonly type: 'user.online' | 'user.offline'; readonly user: string; readonly at: string }
  | { readonly type: 'event.undelivered'; readonly users: readonly string[] }
  | ({ readonly type: 'event.unread' } & Unread)

/** A webhook message: what is sent, the same in each attempt. */
export interface WebhookMessage {
  readonly id: string
  readonly type: string
  readonly body: string
}

/** Creates the message of a queue entry, and reads the event that it is about. */
export async function messageOf(log: EventLog, entry: QueueEntry): Promise<WebhookMessage | NoEvent> {
  const notice = JSON.parse(entry.data) as Notice
  const data = await dataOf(log, entry, notice)
  if (typeof data === 'string') return data
  const body = JSON.stringify({ type: notice.type, timestamp: new Date(entry.time).toISOString(), data })
  // The specification signs the id, the time and the body with full stops between: an id has none.
  return { id: `msg_${entry.id.replaceAll('.', '_')}`, type: notice.type, body }
}

async function dataOf(log: EventLog, entry: QueueEntry, notice: Notice): Promise<object | NoEvent> {
  if (notice.type !== 'event.undelivered') {
    const { type, ...data } = notice
    return data
  }
  const { users } = notice
  const found = await eventBehind(log, entry.cursor, 1, users.map(userChannel))
  return typeof found === 'string' ? found : eventData(found, users)
}

function eventData({ id, event, data }: LogEvent, users: readonly string[]): Unread {
  return { users, id: id as string, event, data }
}
