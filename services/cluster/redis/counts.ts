import type { Channel } from '../../events/channel.ts'

type Targets = readonly (readonly Channel[])[]

interface Question {
  readonly targets: Targets
  readonly resolve: (counts: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

/** A script blocks Redis for everybody, so it counts for so many targets at most. */
const MOST = 500

/** Puts the questions of one turn of the event loop into one: a publish each would be a script each. */
export class Counts {
  readonly #ask: (targets: Targets) => Promise<readonly number[]>
  #questions: Question[] = []

  constructor(ask: (targets: Targets) => Promise<readonly number[]>) {
    this.#ask = ask
  }

  count(targets: Targets): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      this.#questions.push({ targets, resolve, reject })
      if (this.#questions.length === 1) setImmediate(() => this.#askAll())
    })
  }

  #askAll(): void {
    const questions = this.#questions
    this.#questions = []
    for (let at = 0; at < questions.length; ) {
      const together: Question[] = []
      for (let size = 0; at < questions.length && (size === 0 || size < MOST); at++) {
        const question = questions[at] as Question
        together.push(question)
        size += question.targets.length
      }
      this.#askTogether(together)
    }
  }

  #askTogether(questions: readonly Question[]): void {
    this.#ask(questions.flatMap(({ targets }) => targets)).then(
      (counts) => {
        let at = 0
        for (const { targets, resolve } of questions) {
          resolve(counts.slice(at, at + targets.length))
          at += targets.length
        }
      },
      (error) => {
        for (const { reject } of questions) reject(error)
      }
    )
  }
}
