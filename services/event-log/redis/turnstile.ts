import { Fifo } from '../../fifo.ts'

/** Limits concurrent work; further work waits in order of arrival. */
export class Turnstile {
  readonly #max: number
  readonly #waiting = new Fifo<() => void>()
  #running = 0

  constructor(max: number) {
    this.#max = max
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await work()
    } finally {
      // The next in the queue takes this slot.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
