import type { NewEvent } from '../events/log-event.ts'

/** Stores entries of its own together with an event: the log has all of them, or none. */
export interface Outbox {
  /** Whether the entries depend on who is offline: then each publication waits for the answer of the other nodes. */
  readonly needsOffline: boolean
  /**
   * The entries to append right before an event, in this order. An event whose idempotency key is known is not appended again,
   * and entries without their event right behind them mean nothing.
   * @param offline the users whom the event is addressed to and who are offline on all nodes; none if that is uncertain.
   * @param between how many entries of other outboxes stand between these and the event.
   */
  entriesFor(event: NewEvent, offline: readonly string[], between: number): readonly NewEvent[]
  /** Entries were appended. */
  onAppended(): void
}
