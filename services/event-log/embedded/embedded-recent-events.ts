import type { LogEvent } from '../../events/log-event.ts'
import { Fifo } from '../../fifo.ts'

/** Text kept in memory besides the store, in UTF-16 units, about; an event weighs at least `MIN_WEIGHT`. */
const CAPACITY = 16_777_216
const MIN_WEIGHT = 256

/**
 * The events that were last appended or read. Streams that read the same event share one object, and with it the frame that
 * the hub encoded once.
 */
export class RecentEvents {
  readonly #events = new Map<number, LogEvent>()
  readonly #order = new Fifo<LogEvent>()
  #size = 0

  get(seq: number): LogEvent | undefined {
    return this.#events.get(seq)
  }

  /** Forgets a retracted event; its weight counts until it would have been evicted. */
  delete(seq: number): void {
    this.#events.delete(seq)
  }

  add(event: LogEvent): void {
    const seq = event.cursor?.seq
    if (seq === undefined || this.#events.has(seq)) return
    this.#events.set(seq, event)
    this.#order.push(event)
    this.#size += sizeOf(event)
    while (this.#size > CAPACITY) {
      const oldest = this.#order.shift() as LogEvent
      this.#events.delete(oldest.cursor?.seq ?? 0)
      this.#size -= sizeOf(oldest)
    }
  }
}

function sizeOf({ data, channels }: LogEvent): number {
  return MIN_WEIGHT + 2 * data.length + 16 * channels.length
}
