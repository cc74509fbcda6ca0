import type { ReadResult } from '../event-log/event-log.ts'
import type { LogEvent } from '../events/log-event.ts'

/** Counts the events of the log that come for a stream between its opening and the end of its first replay, which reads them. */
export class OpeningEvents {
  /** How many events of the log came, and the sequence number of the first. */
  #logged = 0
  #first = Number.POSITIVE_INFINITY
  #last: LogEvent | undefined

  /** Counts the event. Returns false for one that came before: it comes once for each channel of the stream. */
  add(event: LogEvent): boolean {
    if (event === this.#last) return false
    this.#last = event
    if (event.cursor !== null) {
      this.#logged++
      this.#first = Math.min(this.#first, event.cursor.seq)
    }
    return true
  }

  /** How many of the events of a first page, and of those that remain after it, came before the stream was opened. */
  historyIn({ events, remaining }: ReadResult): number {
    if (this.#logged === 0) return events.length + remaining
    const old = events.filter(({ cursor }) => (cursor?.seq ?? 0) < this.#first).length
    return old + Math.max(0, remaining - (this.#logged - (events.length - old)))
  }

  /** After a discontinuity the sequence begins anew. */
  restart(): void {
    this.#logged = 0
    this.#first = Number.POSITIVE_INFINITY
  }
}
