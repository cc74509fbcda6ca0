import type { Clock } from '../clock.ts'
import { wholeNumber } from '../option-checks.ts'

/** An hour. */
const MAX_DELAY = 3_600_000

export interface DrainOptions {
  /**
   * How long the hub serves on while it reports that it is not ready, in milliseconds. Load balancers take it out meanwhile.
   * @default 0
   */
  readonly delay?: number | undefined
}

/** The time between the end of readiness and the end of service. */
export class DrainDelay {
  readonly #clock: Clock
  #waiting: (() => void)[] = []
  #hasBegun = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether readiness has ended. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /**
   * Ends readiness, and resolves after the delay. The end of any delay, and a call without a delay, end all delays.
   * @throws {InvalidOptionError}
   */
  begin({ delay = 0 }: DrainOptions): Promise<void> | undefined {
    wholeNumber('delay', delay, 0, MAX_DELAY)
    this.#hasBegun = true
    if (delay === 0) {
      this.#end()
      return undefined
    }
    return new Promise((resolve) => {
      const stop = this.#clock.every(delay, () => this.#end())
      this.#waiting.push(() => {
        stop()
        resolve()
      })
    })
  }

  #end(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const end of waiting) end()
  }
}
