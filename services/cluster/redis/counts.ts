import type { Channel } from '../../events/channel.ts'

type Targets = readonly (readonly Channel[])[]
type Excepted = readonly (readonly string[])[]

interface Query {
  readonly targets: Targets
  readonly except: Excepted | undefined
  readonly resolve: (counts: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

/** Max. number of targets of one script, which blocks Redis. */
const MAX_TARGETS = 500

/** Joins the queries of one turn of the event loop into one script, so that not every publish runs one. */
export class Counts {
  readonly #run: (targets: Targets, except: Excepted | undefined) => Promise<readonly number[]>
  #queries: Query[] = []

  constructor(run: (targets: Targets, except: Excepted | undefined) => Promise<readonly number[]>) {
    this.#run = run
  }

  count(targets: Targets, except?: Excepted): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      this.#queries.push({ targets, except, resolve, reject })
      if (this.#queries.length === 1) setImmediate(() => this.#runAll())
    })
  }

  #runAll(): void {
    const queries = this.#queries
    this.#queries = []
    for (let at = 0; at < queries.length; ) {
      const together: Query[] = []
      for (let size = 0; at < queries.length && (size === 0 || size < MAX_TARGETS); at++) {
        const query = queries[at] as Query
        together.push(query)
        size += query.targets.length
      }
      this.#runTogether(together)
    }
  }

  #runTogether(queries: readonly Query[]): void {
    const except = queries.some((query) => query.except !== undefined)
      ? queries.flatMap((query) => query.except ?? query.targets.map(() => []))
      : undefined
    this.#run(
      queries.flatMap(({ targets }) => targets),
      except
    ).then(
      (counts) => {
        let at = 0
        for (const { targets, resolve } of queries) {
          resolve(counts.slice(at, at + targets.length))
          at += targets.length
        }
      },
      (error) => {
        for (const { reject } of queries) reject(error)
      }
    )
  }
}
