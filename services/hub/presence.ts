import type { Cluster, StreamEntry } from '../cluster/cluster.ts'
import type { Channel } from '../events/channel.ts'
import type { Cursor } from '../events/cursor.ts'
import { compareNames } from '../events/utf8-order.ts'
import type { StreamRegistry } from '../streams/stream-registry.ts'
import { reportOf, type StreamReport } from '../streams/stream-report.ts'

/** One open stream in a user's presence. */
export interface StreamPresence {
  /** The stream id, as `disconnect({ stream })` takes it. */
  readonly id: string
  /** When it was opened: ISO 8601. */
  readonly since: string
  readonly topics: string[]
}

/** A stream with its delivery, if this node has it. */
export type InspectedStream = StreamPresence & Partial<StreamReport>

export interface UserPresence {
  readonly user: string
  readonly online: boolean
  readonly streams: StreamPresence[]
}

export interface OnlineUser {
  readonly user: string
  /** How many open streams the user has. */
  readonly streams: number
}

export interface OnlinePage {
  readonly users: OnlineUser[]
  /** The end of this page: pass it as `after`. Null on the last page. */
  readonly next: string | null
}

export interface TopicListeners {
  readonly topic: string
  /** How many open streams of all nodes listen to it. */
  readonly streams: number
}

/** The users who are online on all nodes: this node's own streams, and the answers of the others. */
export class Presence {
  readonly #registry: StreamRegistry
  readonly #cluster: Cluster

  constructor(registry: StreamRegistry, cluster: Cluster) {
    this.#registry = registry
    this.#cluster = cluster
  }

  /** How many open streams of this node an event would be assigned to: a transient one only to those that keep up. */
  countReceivers(channels: readonly Channel[], isTransient: boolean, except?: readonly string[]): number {
    return isTransient
      ? this.#registry.countReceptive(channels, except)
      : this.#registry.countListeners(channels, except)
  }

  /** How many open streams of this node listen to at least one of the channels. */
  countListeners(channels: readonly Channel[]): number {
    return this.#registry.countListeners(channels)
  }

  async isOnline(user: string): Promise<boolean> {
    if (this.#registry.countOfUser(user) > 0) return true
    return !this.#cluster.isSingleNode && (await this.#cluster.countOfUser(user)) > 0
  }

  /** Whether each of the users is online, in one round trip. */
  async areOnline(users: readonly string[]): Promise<Map<string, boolean>> {
    const online = new Map(users.map((user) => [user, this.#registry.countOfUser(user) > 0]))
    if (this.#cluster.isSingleNode) return online
    const absent = [...online].flatMap(([user, isHere]) => (isHere ? [] : [user]))
    const states = await this.#cluster.areOnline(absent)
    for (const [at, user] of absent.entries()) online.set(user, states[at] === true)
    return online
  }

  async topic(topic: string): Promise<TopicListeners> {
    const channel: Channel = `t:${topic}`
    const [elsewhere = 0] = this.#cluster.isSingleNode ? [] : await this.#cluster.countListeners([[channel]])
    return { topic, streams: this.#registry.countListeners([channel]) + elsewhere }
  }

  async of(user: string): Promise<UserPresence> {
    const found = await this.#streamsOf(user)
    return { user, online: found.length > 0, streams: found.map(describeStream) }
  }

  /** The same for an operator, with the delivery of those streams that are on this node. */
  async inspect(user: string, head: () => Cursor): Promise<InspectedStream[]> {
    const found = await this.#streamsOf(user)
    return found.map((entry) => {
      const stream = this.#registry.get(entry.id)
      return stream === undefined ? describeStream(entry) : { ...describeStream(entry), ...reportOf(stream, head()) }
    })
  }

  /** The streams of a user on all nodes, the oldest first. */
  async #streamsOf(user: string): Promise<Pick<StreamEntry, 'id' | 'since' | 'topics'>[]> {
    const elsewhere = this.#cluster.isSingleNode ? [] : await this.#cluster.ofUser(user)
    const found = [...this.#registry.ofUser(user), ...elsewhere]
    if (elsewhere.length > 0) found.sort((one, other) => one.since - other.since)
    return found
  }

  /** The users who are online, in the order of their names, after a name. */
  async page(after: string, limit: number): Promise<OnlinePage> {
    // One more than requested shows whether there is another page.
    const elsewhere = this.#cluster.isSingleNode ? [] : await this.#cluster.users(after, limit + 1)
    const counts = new Map(elsewhere.map(({ user, streams }) => [user, streams]))
    const names = this.#registry.usersAfter(after, limit + 1)
    for (const name of counts.keys()) if (this.#registry.countOfUser(name) === 0) names.push(name)
    const page = names.sort(compareNames).slice(0, limit)
    const users = page.map((user) => ({ user, streams: this.#registry.countOfUser(user) + (counts.get(user) ?? 0) }))
    return { users, next: names.length > limit ? (page[page.length - 1] as string) : null }
  }
}

function describeStream(stream: Pick<StreamEntry, 'id' | 'since' | 'topics'>): StreamPresence {
  return { id: stream.id, since: new Date(stream.since).toISOString(), topics: [...stream.topics] }
}
