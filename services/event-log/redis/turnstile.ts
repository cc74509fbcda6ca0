import { Fifo } from '../../fifo.ts'

/** Lets so many in at a time; the others wait in the order in which they came. */
export class Turnstile {
  readonly #max: number
  readonly #waiting = new Fifo<() => void>()
  #inside = 0

  constructor(max: number) {
    this.#max = max
  }

  async pass<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#inside >= this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#inside++
    try {
      return await work()
    } finally {
      // Whoever is next takes the place over.
      const next = this.#waiting.shift()
      if (next === undefined) this.#inside--
      else next()
    }
  }
}
