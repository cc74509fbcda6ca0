import type { Clock } from '../clock.ts'

/** The pauses of one loop: at most one at a time. */
export class Pause {
  readonly #clock: Clock
  #end: (() => void) | undefined
  #canWake = false
  #isWoken = false
  #hasEnded = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Resolves after a number of milliseconds, or when the loop ends.
   * @param options `canWake`: also at the next `wake()`, or at once if one has come since the last such pause.
   */
  wait(milliseconds: number, { canWake = false }: { readonly canWake?: boolean } = {}): Promise<void> {
    const isWoken = canWake && this.#isWoken
    if (canWake) this.#isWoken = false
    if (this.#hasEnded || isWoken) return Promise.resolve()
    this.#canWake = canWake
    return new Promise((resolve) => {
      const stop = this.#clock.every(Math.max(1, milliseconds), () => this.#end?.())
      this.#end = () => {
        stop()
        this.#end = undefined
        resolve()
      }
    })
  }

  wake(): void {
    if (this.#end !== undefined && this.#canWake) this.#end()
    else this.#isWoken = true
  }

  /** Ends the current pause and all later ones. */
  end(): void {
    this.#hasEnded = true
    this.#end?.()
  }
}
