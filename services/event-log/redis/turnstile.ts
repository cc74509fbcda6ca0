import { Fifo } from '../../fifo.ts'

/** Lets so many in at a time; the others wait in the order in which they came. */
export class Turnstile {
  readonly #most: number
  readonly #waiting = new Fifo<() => void>()
  #inside = 0

  constructor(most: number) {
    this.#most = most
  }

  async pass<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#inside >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve))
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
