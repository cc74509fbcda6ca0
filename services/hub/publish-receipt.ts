import type { Receipt } from '../event-log/event-log.ts'
import type { OnlineUser } from './presence.ts'

/** The receipt of a published event. Only a transient event has no id. */
export interface PublishReceipt<Id extends string | null = string> {
  /** The event's cursor, or null if it is transient. */
  readonly id: Id
  /**
   * How many open streams of all nodes the event was addressed to when it was accepted. A stream of another node that listens
   * to several topics of the event, or to its user and its topic, may be counted for each. A node that could not be reached is
   * not counted. Of this node's streams, a transient event counts only those that will get it.
   */
  readonly streams: number
  /**
   * `streams` of each user, where the target names 2 to 1,000 users. Absent for an event with an idempotency key, with which the
   * log stores the sum alone.
   */
  readonly users?: Readonly<Record<string, number>>
}

/** The receipt of an event, from that of the log and the counts of its users. */
export function receiptOf(
  { id, streams }: Receipt,
  users: readonly OnlineUser[] | undefined
): PublishReceipt<string | null> {
  if (users === undefined) return { id, streams }
  return { id, streams, users: Object.fromEntries(users.map((user) => [user.user, user.streams])) }
}
