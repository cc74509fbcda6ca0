import type { ReadResult } from '../event-log/event-log.ts'
import type { LogEvent } from '../events/log-event.ts'
import { frameOf } from './pending-events.ts'

/** How many bytes of transient events an opening stream keeps, and how many each event counts besides its text. */
const MAX_BYTES = 131_072
const ENTRY_BYTES = 64

interface KeptEvent {
  readonly event: LogEvent
  /** The sequence number of the last event before it. */
  readonly after: number
}

/**
 * The events that come for a stream between its opening and the end of its first replay. Events of the log are only counted,
 * because the replay reads them. Transient events are kept, and the replay writes them in their order among the others.
 */
export class OpeningEvents {
  /** How many events of the log came, and the sequence number of the first. */
  #logged = 0
  #first = Number.POSITIVE_INFINITY
  #kept: KeptEvent[] = []
  #bytes = 0
  #last: LogEvent | undefined

  /** Whether there is room for another transient event. */
  get hasRoom(): boolean {
    return this.#bytes < MAX_BYTES
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0
  }

  /** @param head the sequence number of the newest event of the log. */
  add(event: LogEvent, head: number): void {
    // An event that is addressed to several channels of the stream comes once for each.
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

  /** After a discontinuity the sequence begins anew: the kept events then follow the head of the log. */
  moveTo(head: number): void {
    this.#kept = this.#kept.map(({ event }) => ({ event, after: head }))
    this.#logged = 0
    this.#first = Number.POSITIVE_INFINITY
  }

  /** The text of the transient events that came before this sequence number. Removes them. */
  takeBefore(seq: number): string {
    let text = ''
    while (this.#kept[0] !== undefined && this.#kept[0].after < seq)
      text += frameOf((this.#kept.shift() as KeptEvent).event)
    return text
  }
}
