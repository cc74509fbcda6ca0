import type { Channel } from '../channel.ts'
import type { EventStream } from '../event-stream.ts'
import type { Logger } from '../hub-events.ts'
import type { ResolvedOptions } from '../options.ts'
import type { StreamRegistry } from '../stream-registry.ts'
import type { CloseCommand, LocalNode } from './nodes.ts'

/** A command that is no older is about whatever is open: how long it was on its way is not known exactly. */
const FRESH = 1_000

/** The streams of this node, and how they are closed, for the other nodes. */
export class ThisNode implements LocalNode {
  readonly logger: Logger
  readonly replaceAbove: number
  readonly #registry: StreamRegistry
  readonly #now: () => number

  constructor(registry: StreamRegistry, options: ResolvedOptions, logger: Logger) {
    this.logger = logger
    this.replaceAbove = options.onUserLimit === 'replace' ? options.maxStreamsPerUser : 0
    this.#registry = registry
    this.#now = () => options.clock.monotonic()
  }

  get size(): number {
    return this.#registry.size
  }

  get users(): number {
    return this.#registry.users
  }

  streams(): Iterable<EventStream> {
    return this.#registry.all()
  }

  countOfUser(user: string): number {
    return this.#registry.countOfUser(user)
  }

  countListeners(channel: Channel): number {
    return this.#registry.countListeners([channel])
  }

  close(command: CloseCommand, age = 0): number {
    const { of, reason, reconnect } = command
    // How long ago, not when: the wall clocks of two nodes need not agree, and may be set.
    const openedBy = age <= FRESH ? Number.POSITIVE_INFINITY : this.#now() - age
    const streams = 'user' in of ? [...this.#registry.ofUser(of.user)] : of.streams.map((id) => this.#registry.get(id))
    return streams.filter(
      (stream) => stream !== undefined && stream.openedAt <= openedBy && stream.close(reason, reconnect)
    ).length
  }
}
