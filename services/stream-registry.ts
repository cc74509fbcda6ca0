import type { Channel } from './channel.ts'
import type { EventStream } from './event-stream.ts'
import { StreamIndex } from './stream-index.ts'

/** The open streams of this node, by everything that they are looked for by. Synchronous, and decides nothing. */
export class StreamRegistry {
  readonly #byId = new Map<string, EventStream>()
  readonly #byUser = new StreamIndex<string, EventStream>()
  readonly #byChannel = new StreamIndex<Channel, EventStream>()
  readonly #byAddress = new StreamIndex<string, EventStream>()

  get size(): number {
    return this.#byId.size
  }

  /** How many users have a stream. */
  get users(): number {
    return this.#byUser.size
  }

  add(stream: EventStream): void {
    this.#byId.set(stream.id, stream)
    if (stream.user !== null) this.#byUser.add(stream.user, stream)
    if (stream.address !== '') this.#byAddress.add(stream.address, stream)
    for (const channel of stream.channels) this.#byChannel.add(channel, stream)
  }

  delete(stream: EventStream): void {
    if (!this.#byId.delete(stream.id)) return
    if (stream.user !== null) this.#byUser.delete(stream.user, stream)
    if (stream.address !== '') this.#byAddress.delete(stream.address, stream)
    for (const channel of stream.channels) this.#byChannel.delete(channel, stream)
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

  userNames(): Iterable<string> {
    return this.#byUser.keys()
  }

  /** The streams that listen to a channel. */
  listeners(channel: Channel): Iterable<EventStream> {
    return this.#byChannel.get(channel)
  }

  /** How many streams listen to at least one of the channels. */
  countListeners(channels: readonly Channel[]): number {
    const [first] = channels
    if (first === undefined) return 0
    if (channels.length === 1) return this.#byChannel.count(first)
    // A stream belongs to one user, so the streams of several users are counted without looking at them.
    if (channels.every((channel) => channel.startsWith('u:'))) {
      return channels.reduce((sum, channel) => sum + this.#byChannel.count(channel), 0)
    }
    const streams = new Set<EventStream>()
    for (const channel of channels) for (const stream of this.listeners(channel)) streams.add(stream)
    return streams.size
  }
}
