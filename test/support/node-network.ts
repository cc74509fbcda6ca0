import type { CloseCommand, Cluster, LocalNode, StreamEntry } from '../../services/cluster/cluster.ts'
import type { TopicCommand } from '../../services/cluster/topic-command.ts'
import { ClusterUnavailableError } from '../../services/errors.ts'
import { type Channel, channelsHeard } from '../../services/events/channel.ts'
import { compareNames } from '../../services/events/utf8-order.ts'

/** Nodes of one process that call each other directly: the behaviour of the port, without a store between. */
export class NodeNetwork {
  readonly #members = new Set<NetworkNodes>()
  /** The node that has each role. */
  readonly roles = new Map<string, NetworkNodes>()
  /** Whether no node reaches another. */
  isDown = false

  nodes(): NetworkNodes {
    return new NetworkNodes(this, this.#members)
  }

  /** Ends a node like `kill -9`, without notice to the others. */
  kill(nodes: NetworkNodes): void {
    this.#members.delete(nodes)
  }
}

export class NetworkNodes implements Cluster {
  readonly #network: NodeNetwork
  readonly #members: Set<NetworkNodes>
  readonly #streams = new Map<string, StreamEntry>()
  #local: LocalNode | undefined

  constructor(network: NodeNetwork, members: Set<NetworkNodes>) {
    this.#network = network
    this.#members = members
  }

  get isSingleNode(): boolean {
    return this.#others.length === 0
  }

  get isSettled(): boolean {
    return !this.#network.isDown
  }

  get elsewhere(): { users: number; streams: number } {
    if (this.#network.isDown) return { users: 0, streams: 0 }
    const streams = this.#others.flatMap((node) => [...node.#streams.values()])
    const users = new Set(streams.map(({ user }) => user).filter((user) => user !== null))
    for (const { user } of this.#streams.values()) if (user !== null) users.delete(user)
    return { users: users.size, streams: streams.length }
  }

  async join(local: LocalNode): Promise<void> {
    this.#local = local
    for (const stream of local.streams()) this.#streams.set(stream.id, stream)
    this.#members.add(this)
  }

  opened(stream: StreamEntry): void {
    this.#streams.set(stream.id, stream)
    const limit = this.#local?.replaceAbove ?? 0
    if (stream.user === null || limit === 0) return
    const retained = [...this.#members]
      .flatMap((node) => node.#ofUser(stream.user as string))
      .filter(({ id }) => id !== stream.id)
      .sort((one, other) => one.since - other.since)
    const excess = retained.slice(0, Math.max(0, retained.length + 1 - limit)).map(({ id }) => id)
    for (const node of [...this.#members]) node.#local?.close({ of: { streams: excess }, reason: 'replaced' }, 0)
  }

  changed(stream: StreamEntry): void {
    this.#streams.set(stream.id, stream)
  }

  closed(stream: StreamEntry): void {
    this.#streams.delete(stream.id)
  }

  async reserve(stream: StreamEntry, limit: number): Promise<boolean> {
    const user = stream.user as string
    const retained = [this, ...this.#others].flatMap((node) => node.#ofUser(user))
    if (!this.#network.isDown && retained.length >= limit) return false
    this.#streams.set(stream.id, stream)
    return true
  }

  async countListeners(
    targets: readonly (readonly Channel[])[],
    except: readonly (readonly string[])[] = []
  ): Promise<readonly number[]> {
    this.#check()
    return targets.map((channels, at) => {
      const streams = this.#others.flatMap((node) => [...node.#streams.values()])
      const counted = streams.filter(({ user }) => user === null || except[at]?.includes(user) !== true)
      return counted.filter((stream) => heardBy(stream).some((channel) => channels.includes(channel))).length
    })
  }

  async countOfUser(user: string): Promise<number> {
    return (await this.ofUser(user)).length
  }

  async areOnline(users: readonly string[]): Promise<readonly boolean[]> {
    this.#check()
    return users.map((user) => this.#others.some((node) => node.#ofUser(user).length > 0))
  }

  async ofUser(user: string): Promise<readonly StreamEntry[]> {
    this.#check()
    return this.#others.flatMap((node) => node.#ofUser(user))
  }

  async users(after: string, limit: number): Promise<{ user: string; streams: number }[]> {
    this.#check()
    const counts = new Map<string, number>()
    for (const { user } of this.#others.flatMap((node) => [...node.#streams.values()])) {
      if (user !== null && compareNames(user, after) > 0) counts.set(user, (counts.get(user) ?? 0) + 1)
    }
    const users = [...counts].map(([user, streams]) => ({ user, streams }))
    return users.sort((one, other) => compareNames(one.user, other.user)).slice(0, limit)
  }

  async close(command: CloseCommand): Promise<number> {
    this.#check()
    return this.#others.reduce((sum, node) => sum + (node.#local?.close(command, 0) ?? 0), 0)
  }

  async hold(role: string): Promise<number> {
    this.#check()
    const { roles } = this.#network
    const holder = roles.get(role)
    if (holder !== undefined && holder !== this && this.#members.has(holder)) return 0
    roles.set(role, this)
    return 1_000
  }

  async release(role: string): Promise<void> {
    if (this.#network.roles.get(role) === this) this.#network.roles.delete(role)
  }

  async changeTopics(command: TopicCommand): Promise<number> {
    this.#check()
    const answers = await Promise.all(this.#others.map((node) => node.#local?.changeTopics(command, 0) ?? 0))
    return answers.reduce((sum, answer) => sum + answer, 0)
  }

  async leave(): Promise<void> {
    this.#members.delete(this)
  }

  get #others(): NetworkNodes[] {
    return [...this.#members].filter((node) => node !== this)
  }

  #ofUser(user: string): StreamEntry[] {
    return [...this.#streams.values()].filter((stream) => stream.user === user)
  }

  #check(): void {
    if (this.#network.isDown) throw new ClusterUnavailableError('the nodes are disconnected')
  }
}

function heardBy({ user, topics, follows }: StreamEntry): Channel[] {
  return channelsHeard(user, topics, follows)
}
