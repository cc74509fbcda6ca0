import { type Channel, EVERYONE, topicChannel, userOfChannel } from '../events/channel.ts'
import { CompactIndex } from './compact-index.ts'
import type { EventStream } from './event-stream.ts'
import { OrderedNames } from './ordered-names.ts'

/**
 * The open streams of this node, by everything that they are looked for by. Synchronous, and decides nothing. Every index
 * costs each stream some memory, so there is none for what another one can tell: a user's streams listen to him, and all to
 * everyone, but for those that only follow a topic.
 */
export class StreamRegistry {
  readonly #byId = new Map<string, EventStream>()
  readonly #byUser = new CompactIndex<string, EventStream>()
  readonly #userNames = new OrderedNames()
  readonly #byTopic = new CompactIndex<Channel, EventStream>()
  readonly #byAddress = new CompactIndex<string, EventStream>()
  /** How many streams follow a topic and listen to nothing else. */
  #following = 0

  get size(): number {
    return this.#byId.size
  }

  /** How many users have a stream. */
  get users(): number {
    return this.#byUser.size
  }

  add(stream: EventStream): void {
    this.#byId.set(stream.id, stream)
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
    if (stream.follows) this.#following--
    if (stream.user !== null) {
      this.#byUser.delete(stream.user, stream)
      if (this.#byUser.count(stream.user) === 0) this.#userNames.delete(stream.user)
    }
    if (stream.address !== '') this.#byAddress.delete(stream.address, stream)
    for (const topic of stream.topics) this.#byTopic.delete(topicChannel(topic), stream)
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

  countOfAddress(address: string): number {
    return this.#byAddress.count(address)
  }

  /** At most `limit` users after a name who have a stream, in the order of their names. */
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

  /** How many streams listen to at least one of the channels and would be given a transient event now. */
  countReceptive(channels: readonly Channel[]): number {
    const streams = new Set<EventStream>()
    for (const channel of channels) {
      for (const stream of this.listeners(channel)) if (stream.takesTransient) streams.add(stream)
    }
    return streams.size
  }

  /** How many streams listen to at least one of the channels. */
  countListeners(channels: readonly Channel[]): number {
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

function* notFollowing(streams: Iterable<EventStream>): Generator<EventStream> {
  for (const stream of streams) if (!stream.follows) yield stream
}
