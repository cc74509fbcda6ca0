import type { Receipt } from '../event-log/event-log.ts'
import { LatencyHistogram } from '../latency-histogram.ts'

/** The codes of errors with which a log refuses an append: a closed list, so that metrics have few labels. */
export const APPEND_ERRORS = [
  'SSE_HUB_ERR_LOG_UNAVAILABLE',
  'SSE_HUB_ERR_LOG_FULL',
  'SSE_HUB_ERR_LOG_LOST',
  'SSE_HUB_ERR_CLOSED',
  'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED',
  'other'
] as const

export type AppendErrorCode = (typeof APPEND_ERRORS)[number]

/** Measures appends to the log: their duration, repeated idempotency keys, and errors. */
export class AppendMeasures {
  readonly latency = new LatencyHistogram()
  /** Events that were not published again, because their idempotency key was known. */
  deduplicated = 0
  readonly errors = Object.fromEntries(APPEND_ERRORS.map((code) => [code, 0])) as Record<AppendErrorCode, number>
  readonly #now: () => number

  /** @param now the monotonic time in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Observes an append from its beginning; its caller handles the rejection. */
  observe(append: Promise<readonly Receipt[]>): void {
    const begun = this.#now()
    append.then(
      (receipts) => {
        this.latency.observe(this.#now() - begun)
        for (const { isRepeat } of receipts) if (isRepeat) this.deduplicated++
      },
      ({ code }: { code?: string }) => {
        this.errors[APPEND_ERRORS.find((known) => known === code) ?? 'other']++
      }
    )
  }
}
