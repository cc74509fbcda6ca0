import type { LogEvent } from './log-event.ts'

/** An event as `history()` returns it. */
export interface HistoryEvent {
  readonly id: string
  readonly event: string
  /** The text as it is on the wire: JSON, unless a string was published. */
  readonly data: string
  /** When it was published: ISO 8601. */
  readonly time: string
}

export function historyEventOf({ id, event, data, time }: LogEvent): HistoryEvent {
  return { id: id ?? '', event, data, time: new Date(time).toISOString() }
}
