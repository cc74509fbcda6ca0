import { isDeepStrictEqual } from 'node:util'
import type { CloseCommand, Cluster, LocalNode, PresenceChange, StreamEntry } from '../../services/cluster/cluster.ts'
import { type Channel, channelsHeard } from '../../services/events/channel.ts'

const PATIENCE = 10_000

let opened = 0

interface TestNodeOptions {
  readonly replaceAbove?: number
  readonly presenceGrace?: number
  readonly isWatching?: boolean
}

/** A node that has streams without a hub. */
export class TestNode implements LocalNode {
  readonly nodes: Cluster
  readonly replaceAbove: number
  readonly warnings: string[] = []
  /** The streams closed by command, `<user> <reason>` each, and the age of the command. */
  readonly closed: string[] = []
  readonly ages: number[] = []
  readonly logger = {
    error: (_details: object, message: string) => this.warnings.push(message),
    warn: (_details: object, message: string) => this.warnings.push(message)
  }
  /** The changes of presence that were reported to this node: `+user` or `-user`. */
  readonly reports: string[] = []
  readonly presenceGrace: number
  readonly drainGrace: number
  isWatching: boolean
  readonly #streams = new Map<string, StreamEntry>()

  constructor(nodes: Cluster, options: TestNodeOptions = {}) {
    const { replaceAbove = 0, presenceGrace = 300, isWatching = false } = options
    this.nodes = nodes
    this.replaceAbove = replaceAbove
    this.presenceGrace = presenceGrace
    this.drainGrace = presenceGrace
    this.isWatching = isWatching
  }

  get size(): number {
    return this.#streams.size
  }

  get users(): number {
    return new Set([...this.#streams.values()].map(({ user }) => user).filter((user) => user !== null)).size
  }

  streams(): Iterable<StreamEntry> {
    return this.#streams.values()
  }

  countOfUser(user: string): number {
    return [...this.#streams.values()].filter((stream) => stream.user === user).length
  }

  countListeners(channel: Channel): number {
    return [...this.#streams.values()].filter(({ user, topics, follows }) =>
      channelsHeard(user, topics, follows).includes(channel)
    ).length
  }

  report(changes: readonly PresenceChange[]): void {
    for (const { user, isOnline } of changes) this.reports.push(`${isOnline ? '+' : '-'}${user}`)
  }

  close({ of, reason }: CloseCommand, age: number): number {
    const streams = [...this.#streams.values()].filter(({ id, user }) =>
      'user' in of ? user === of.user : of.streams.includes(id)
    )
    for (const stream of streams) {
      this.closed.push(`${stream.user} ${reason}`)
      this.ages.push(age)
      this.end(stream)
    }
    return streams.length
  }

  async changeTopics(): Promise<number> {
    return 0
  }

  open(user: string | null, stream: Partial<StreamEntry> = {}): StreamEntry {
    const entry = makeEntry(user, stream)
    this.#streams.set(entry.id, entry)
    this.nodes.opened(entry)
    return entry
  }

  end(stream: StreamEntry): void {
    this.#streams.delete(stream.id)
    this.nodes.closed(stream, this.presenceGrace)
  }
}

export function makeEntry(user: string | null, stream: Partial<StreamEntry> = {}): StreamEntry {
  return { id: `stream${++opened}`, user, topics: [], follows: false, since: opened, ...stream }
}

/** Resolves when a value is right: other nodes see the changes of a node a moment later. */
export async function until<Value>(
  ask: () => Value | Promise<Value>,
  isExpected: (value: Value) => boolean,
  what: string,
  patience = PATIENCE
): Promise<Value> {
  const end = performance.now() + patience
  for (;;) {
    const value = await ask()
    if (isExpected(value)) return value
    if (performance.now() > end) throw new Error(`waited in vain for ${what}; it is ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Resolves when the value equals the expected one. */
export function untilSame<Value>(ask: () => Value | Promise<Value>, expected: Value): Promise<Value> {
  return until(ask, (value) => isDeepStrictEqual(value, expected), JSON.stringify(expected))
}
