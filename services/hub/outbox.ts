import type { NewEvent } from '../events/log-event.ts'

/** Stores an entry of its own together with an event: the log has both, or neither. */
export interface Outbox {
  /**
   * The entry to append right before an event, or undefined. An event whose idempotency key is known is not appended again, and
   * an entry without its event right behind it means nothing.
   * @param offline the users whom the event is addressed to and who are offline on all nodes; none if that is uncertain.
   */
  entryFor(event: NewEvent, offline: readonly string[]): NewEvent | undefined
  /** Entries were appended. */
  onAppended(): void
}
