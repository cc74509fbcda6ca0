import type { Clock } from '../../clock.ts'
import { ClusterUnavailableError } from '../../errors.ts'

/** What one command waits for. */
interface Waiting {
  /** Who has to answer; not known until the command was said, and an answer may be quicker. */
  nodes: readonly string[] | undefined
  readonly answered: Set<string>
  closed: number
  readonly enough: () => void
}

/** The answers of other nodes to what they were told to do, as far as they come in time. */
export class Acknowledgements {
  readonly #clock: Clock
  readonly #waiting = new Map<string, Waiting>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Resolves with the sum of the answers: when all have answered or are dead, or after so many milliseconds.
   * @param say says it to the others, and returns which of them are alive. If it rejects, so does this.
   */
  async gather(id: string, milliseconds: number, say: () => Promise<readonly string[]>): Promise<number> {
    let stop: (() => void) | undefined
    try {
      return await new Promise<number>((resolve, reject) => {
        const enough = () => resolve(waiting.closed)
        const waiting: Waiting = { nodes: undefined, answered: new Set(), closed: 0, enough }
        this.#waiting.set(id, waiting)
        stop = this.#clock.every(milliseconds, () => {
          if (waiting.nodes === undefined) reject(new ClusterUnavailableError('Redis did not answer in time'))
          else enough()
        })
        say().then((nodes) => {
          waiting.nodes = nodes
          settle(waiting)
        }, reject)
      })
    } finally {
      stop?.()
      this.#waiting.delete(id)
    }
  }

  take(id: string, node: string, closed: number): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || waiting.answered.has(node)) return
    waiting.answered.add(node)
    waiting.closed += closed
    settle(waiting)
  }

  /** Who is not among these is dead, and not waited for. */
  onlyFrom(live: readonly string[]): void {
    for (const waiting of this.#waiting.values()) {
      waiting.nodes = waiting.nodes?.filter((node) => live.includes(node))
      settle(waiting)
    }
  }
}

function settle({ nodes, answered, enough }: Waiting): void {
  if (nodes?.every((node) => answered.has(node))) enough()
}
