import type { ReadResult } from '../event-log/event-log.ts'
import type { LogEvent } from '../events/log-event.ts'
import { frameOf } from './pending-events.ts'

/** How many bytes of transient events are kept for a stream that is opening, and what each of them counts besides its text. */
const MAX_BYTES = 131_072
const ENTRY_BYTES = 64

interface Kept {
  readonly event: LogEvent
  /** The number of the event that came last before it. */
  readonly after: number
}

/**
 * What came for a stream between its opening and the end of its replay. Events of the log are read from there, and only
 * counted; transient events are kept, and take their places among the others as the replay comes by.
 */
export class OpeningEvents {
  /** How many events of the log came, and the number of the first. */
  #logged = 0
  #first = Number.POSITIVE_INFINITY
  #kept: Kept[] = []
  #bytes = 0
  #last: LogEvent | undefined

  /** Whether another transient event would be kept. */
  get hasRoom(): boolean {
    return this.#bytes < MAX_BYTES
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0
  }

  /** @param head the number of the event that came last. */
  add(event: LogEvent, head: number): void {
    // It may be addressed to several channels of the stream.
    if (event === this.#last) return
    this.#last = event
    if (event.cursor !== null) {
      this.#logged++
      this.#first = Math.min(this.#first, event.cursor.seq)
    } else if (this.hasRoom) {
      this.#kept.push({ event, after: head })
      this.#bytes += frameOf(event).length + ENTRY_BYTES
    }
  }

  /** How many of the events of a first page, and of those that remain after it, came before the stream was opened. */
  historyIn({ events, remaining }: ReadResult): number {
    if (this.#logged === 0) return events.length + remaining
    const old = events.filter(({ cursor }) => (cursor?.seq ?? 0) < this.#first).length
    return old + Math.max(0, remaining - (this.#logged - (events.length - old)))
  }

  /** After a discontinuity numbers begin anew: what was kept follows what the log holds now. */
  moveTo(head: number): void {
    this.#kept = this.#kept.map(({ event }) => ({ event, after: head }))
    this.#logged = 0
    this.#first = Number.POSITIVE_INFINITY
  }

  /** The text of the transient events that came before the event with this number. Each is taken once. */
  takeBefore(seq: number): string {
    let text = ''
    while (this.#kept[0] !== undefined && this.#kept[0].after < seq) text += frameOf((this.#kept.shift() as Kept).event)
    return text
  }
}
