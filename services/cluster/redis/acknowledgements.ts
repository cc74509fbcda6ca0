import type { Clock } from '../../clock.ts'
import { ClusterUnavailableError } from '../../errors.ts'

/** A command that waits for acknowledgements. */
interface PendingCommand {
  /** The nodes that have to answer; unknown until the command is sent, and an answer may arrive earlier. */
  nodes: readonly string[] | undefined
  readonly answered: Set<string>
  closed: number
  readonly enough: () => void
}

/** Collects the acknowledgements of commands by other nodes, up to a timeout. */
export class Acknowledgements {
  readonly #clock: Clock
  readonly #waiting = new Map<string, PendingCommand>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Resolves with the sum of the answers when all nodes have answered or died, or after the given number of milliseconds.
   * @param mustAnswer rejects if a node has not answered by then.
   * @param send sends the command, and returns the live nodes. If it rejects, so does this.
   */
  async gather(
    id: string,
    milliseconds: number,
    send: () => Promise<readonly string[]>,
    mustAnswer = false
  ): Promise<number> {
    let stop: (() => void) | undefined
    try {
      return await new Promise<number>((resolve, reject) => {
        const enough = () => resolve(waiting.closed)
        const waiting: PendingCommand = { nodes: undefined, answered: new Set(), closed: 0, enough }
        this.#waiting.set(id, waiting)
        stop = this.#clock.every(milliseconds, () => {
          if (waiting.nodes === undefined) reject(new ClusterUnavailableError('Redis did not answer in time'))
          else if (mustAnswer) reject(new ClusterUnavailableError('a node did not answer in time'))
          else enough()
        })
        send().then((nodes) => {
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

  /** Stops waiting for all other nodes: they are dead. */
  retainLive(live: readonly string[]): void {
    for (const waiting of this.#waiting.values()) {
      waiting.nodes = waiting.nodes?.filter((node) => live.includes(node))
      settle(waiting)
    }
  }
}

function settle({ nodes, answered, enough }: PendingCommand): void {
  if (nodes?.every((node) => answered.has(node))) enough()
}
