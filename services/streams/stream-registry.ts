import { type Channel, channelsHeard, EVERYONE, topicChannel, userOfChannel } from '../events/channel.ts'
import type { SharedCounts } from '../shared-counts.ts'
import { CompactIndex } from './compact-index.ts'
import type { EventStream } from './event-stream.ts'
import { OrderedNames } from './ordered-names.ts'

/** Names of shared counts. */
const ALL = 'streams'
const OF_ADDRESS = 'streams of '

/**
 * The open streams of this node, indexed for each kind of lookup. Synchronous, and without decisions. Each index costs memory
 * per stream, so user channels and the channel for everyone have no index: the streams of a user listen to the user's channel,
 * and all streams to the one for everyone, except streams that only follow a topic.
 */
export class StreamRegistry {
  /** Counts of other processes, for limits that hold over all of them. */
  shared: SharedCounts | undefined
  readonly #byId = new Map<string, EventStream>()
  readonly #byUser = new CompactIndex<string, EventStream>()
  readonly #userNames = new OrderedNames()
  readonly #byTopic = new CompactIndex<Channel, EventStream>()
  readonly #byAddress = new CompactIndex<string, EventStream>()
  /** The number of streams that only follow a topic, or that a producer feeds. */
  #following = 0

  get size(): number {
    return this.#byId.size
  }

  /** The number of users with a stream. */
  get users(): number {
    return this.#byUser.size
  }

  /** Number of streams, with those of processes that share their counts. */
  get sharedSize(): number {
    return this.size + (this.shared?.elsewhere(ALL) ?? 0)
  }

  add(stream: EventStream): void {
    this.#byId.set(stream.id, stream)
    this.#share(stream.address, 1)
    if (stream.follows) this.#following++
    if (stream.user !== null) {
      if (this.#byUser.count(stream.user) === 0) this.#userNames.add(stream.user)
      this.#byUser.add(stream.user, stream)
    }
    if (stream.address !== '') this.#byAddress.add(stream.address, stream)
    for (const topic of stream.topics) this.#byTopic.add(topicChannel(topic), stream)
  }

  delete(stream: EventStream): void {
    if (!this.#byId.delete(stream.id)) return
    this.#share(stream.address, -1)
    if (stream.follows) this.#following--
    if (stream.user !== null) {
      this.#byUser.delete(stream.user, stream)
      if (this.#byUser.count(stream.user) === 0) this.#userNames.delete(stream.user)
    }
    if (stream.address !== '') this.#byAddress.delete(stream.address, stream)
    for (const topic of stream.topics) this.#byTopic.delete(topicChannel(topic), stream)
  }

  /** An open stream changes its topics. */
  changeTopics(stream: EventStream, added: readonly string[], removed: readonly string[]): void {
    for (const topic of removed) this.#byTopic.delete(topicChannel(topic), stream)
    for (const topic of added) this.#byTopic.add(topicChannel(topic), stream)
  }

  get(id: string): EventStream | undefined {
    return this.#byId.get(id)
  }

  all(): Iterable<EventStream> {
    return this.#byId.values()
  }

  /** The streams of a user, the oldest first. */
  ofUser(user: string): Iterable<EventStream> {
    return this.#byUser.get(user)
  }

  countOfUser(user: string): number {
    return this.#byUser.count(user)
  }

  /** The number of streams of an address, with those of processes that share their counts. */
  countOfAddress(address: string): number {
    return this.#byAddress.count(address) + (this.shared?.elsewhere(OF_ADDRESS + address) ?? 0)
  }

  /** At most `limit` users with a stream, after a name and in the order of their names. */
  usersAfter(name: string, limit: number): string[] {
    return this.#userNames.after(name, limit)
  }

  /** The streams that listen to a channel. */
  listeners(channel: Channel): Iterable<EventStream> {
    const user = userOfChannel(channel)
    if (user === undefined && channel !== EVERYONE) return this.#byTopic.get(channel)
    const streams = user === undefined ? this.#byId.values() : this.#byUser.get(user)
    return this.#following === 0 ? streams : notFollowing(streams)
  }

  /** The number of streams that listen to at least one of the channels and would take a transient event now. */
  countReceptive(channels: readonly Channel[], except: readonly string[] = []): number {
    const streams = new Set<EventStream>()
    for (const channel of channels) {
      for (const stream of this.listeners(channel)) if (stream.takesTransient) streams.add(stream)
    }
    for (const user of except) for (const stream of this.ofUser(user)) streams.delete(stream)
    return streams.size
  }

  /** The number of streams that listen to at least one of the channels, without those of the excepted users. */
  countListeners(channels: readonly Channel[], except?: readonly string[]): number {
    const count = this.#countAll(channels)
    if (except === undefined || count === 0) return count
    const excepted = except.flatMap((user) => [...this.ofUser(user)].filter((stream) => isListening(stream, channels)))
    return count - excepted.length
  }

  #share(address: string, change: number): void {
    if (this.shared === undefined) return
    this.shared.add(ALL, change)
    if (address !== '') this.shared.add(OF_ADDRESS + address, change)
  }

  #countAll(channels: readonly Channel[]): number {
    const [first] = channels
    if (first === undefined) return 0
    if (channels.length === 1) return this.#countOf(first)
    // A stream belongs to one user, so the streams of several users are counted without comparing them.
    if (channels.every((channel) => userOfChannel(channel) !== undefined)) {
      return channels.reduce((sum, channel) => sum + this.#countOf(channel), 0)
    }
    const streams = new Set<EventStream>()
    for (const channel of channels) for (const stream of this.listeners(channel)) streams.add(stream)
    return streams.size
  }

  #countOf(channel: Channel): number {
    if (channel === EVERYONE) return this.#byId.size - this.#following
    const user = userOfChannel(channel)
    if (user === undefined) return this.#byTopic.count(channel)
    if (this.#following === 0) return this.#byUser.count(user)
    return [...this.listeners(channel)].length
  }
}

/** Whether the stream listens to at least one of the channels. */
function isListening({ user, topics, follows }: EventStream, channels: readonly Channel[]): boolean {
  return channelsHeard(user, topics, follows).some((channel) => channels.includes(channel))
}

function* notFollowing(streams: Iterable<EventStream>): Generator<EventStream> {
  for (const stream of streams) if (!stream.follows) yield stream
}
