import type { LogEvent } from '../events/log-event.ts'
import { LatencyHistogram } from '../latency-histogram.ts'

/**
 * Measures how long an event takes from its append to the write to the last live stream of this node. Events that come
 * together are measured once, by the oldest.
 */
export class WriteLatency {
  readonly histogram = new LatencyHistogram()
  readonly #now: () => number
  /** When the event that is being assigned to streams was appended, and the oldest that is not yet written. */
  #offered = 0
  #oldest: number | undefined

  /** @param now the monotonic time in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** An event is about to be assigned to its streams. */
  onEvent({ appendedAt }: LogEvent): void {
    this.#offered = appendedAt ?? this.#now()
  }

  /** The event is assigned, and live streams have events to write. */
  onPending(): void {
    this.#oldest ??= this.#offered
  }

  /** No live stream has an event left to write. */
  onWritten(): void {
    if (this.#oldest === undefined) return
    this.histogram.observe(this.#now() - this.#oldest)
    this.#oldest = undefined
  }
}
