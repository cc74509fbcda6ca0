import type { Clock } from '../clock.ts'
import type { Channel } from '../events/channel.ts'
import type { CloseReason } from '../events/close-reason.ts'
import type { Logger } from '../logger.ts'
import type { CloseCommand, LocalNode, PresenceChange, StreamEntry } from './cluster.ts'
import type { TopicCommand } from './topic-command.ts'

/** A command up to this age applies to all open streams, because its age is not exact. */
const FRESH = 1_000

/** A stream of this node. */
interface LocalStream extends StreamEntry {
  /** When it was opened, in milliseconds on the monotonic clock. */
  readonly openedAt: number
  close(reason: CloseReason, reconnect?: boolean): boolean
}

/** The streams of this node by id, user and channel. */
interface LocalStreams {
  readonly size: number
  readonly users: number
  all(): Iterable<LocalStream>
  ofUser(user: string): Iterable<LocalStream>
  get(id: string): LocalStream | undefined
  countOfUser(user: string): number
  countListeners(channels: readonly Channel[]): number
}

interface LocalNodeOptions {
  readonly clock: Clock
  readonly onUserLimit: 'replace' | 'reject'
  readonly maxStreamsPerUser: number
  readonly presenceGrace: number
}

/** The hub, which takes changes of presence. */
interface PresenceWatcher {
  readonly drainGrace: number
  readonly isWatching: boolean
  report(changes: readonly PresenceChange[]): void
}

/** Changes topics of this node's streams. */
interface LocalTopics {
  execute(command: TopicCommand, age: number): Promise<number>
}

/** This node's streams, for queries and commands of the other nodes. */
export class NodeStreams implements LocalNode {
  readonly logger: Logger
  readonly replaceAbove: number
  readonly presenceGrace: number
  readonly #registry: LocalStreams
  readonly #watcher: PresenceWatcher
  readonly #topics: LocalTopics
  readonly #now: () => number

  constructor(
    registry: LocalStreams,
    options: LocalNodeOptions,
    logger: Logger,
    watcher: PresenceWatcher,
    topics: LocalTopics
  ) {
    this.logger = logger
    this.#topics = topics
    this.#watcher = watcher
    this.presenceGrace = options.presenceGrace
    this.replaceAbove = options.onUserLimit === 'replace' ? options.maxStreamsPerUser : 0
    this.#registry = registry
    this.#now = () => options.clock.monotonic()
  }

  get drainGrace(): number {
    return this.#watcher.drainGrace
  }

  get isWatching(): boolean {
    return this.#watcher.isWatching
  }

  get size(): number {
    return this.#registry.size
  }

  get users(): number {
    return this.#registry.users
  }

  streams(): Iterable<StreamEntry> {
    return this.#registry.all()
  }

  countOfUser(user: string): number {
    return this.#registry.countOfUser(user)
  }

  countListeners(channel: Channel): number {
    return this.#registry.countListeners([channel])
  }

  report(changes: readonly PresenceChange[]): void {
    this.#watcher.report(changes)
  }

  changeTopics(command: TopicCommand, age: number): Promise<number> {
    return this.#topics.execute(command, age)
  }

  close(command: CloseCommand, age = 0): number {
    const { of, reason, reconnect } = command
    // The age, not the time of the command: the wall clocks of two nodes may differ, and may be set.
    const openedBy = age <= FRESH ? Number.POSITIVE_INFINITY : this.#now() - age
    const streams = 'user' in of ? [...this.#registry.ofUser(of.user)] : of.streams.map((id) => this.#registry.get(id))
    return streams.filter(
      (stream) => stream !== undefined && stream.openedAt <= openedBy && stream.close(reason, reconnect)
    ).length
  }
}
