import type { Logger } from '../logger.ts'

/** How often a log that still cannot be read is reported, in milliseconds. */
const REPORT_INTERVAL = 60_000
/** The time without a failure after which the log counts as readable, in milliseconds; streams retry once a second. */
const CALM = 2_000

/** Logs failing reads of the event log: one line when they begin, one per interval, and one when they end. */
export class ReadFailures {
  readonly #logger: Logger
  readonly #now: () => number
  #began: number | undefined
  #lastFailure = 0
  #lastReport = 0
  #failures = 0
  #sinceReport = 0

  /** @param now the monotonic time in milliseconds. */
  constructor(logger: Logger, now: () => number) {
    this.#logger = logger
    this.#now = now
  }

  /** @param waiting the number of streams that wait for the log. */
  onFailure(error: unknown, waiting: number): void {
    const now = this.#now()
    this.#lastFailure = now
    this.#failures++
    this.#sinceReport++
    if (this.#began === undefined) {
      this.#began = now
      this.#report(now, 'the event log could not be read; streams wait and try again', { err: error })
    } else if (now - this.#lastReport >= REPORT_INTERVAL) {
      const { message } = error instanceof Error ? error : { message: String(error) }
      const details = { cause: message, failures: this.#sinceReport, waiting, duration: now - this.#began }
      this.#report(now, 'the event log still cannot be read', details)
    }
  }

  onSuccess(): void {
    if (this.#began === undefined || this.#now() - this.#lastFailure < CALM) return
    const details = { failures: this.#failures, duration: this.#lastFailure - this.#began }
    this.#began = undefined
    this.#failures = 0
    this.#logger.warn(details, 'the event log can be read again')
  }

  #report(now: number, message: string, details: object): void {
    this.#lastReport = now
    this.#sinceReport = 0
    this.#logger.error(details, message)
  }
}
