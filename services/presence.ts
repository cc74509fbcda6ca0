import type { Channel } from './channel.ts'
import type { EventStream } from './event-stream.ts'
import type { StreamRegistry } from './stream-registry.ts'

/** One open stream, as its user's presence shows it. */
export interface StreamPresence {
  /** What `close({ stream })` takes. */
  readonly id: string
  /** When it was opened: ISO 8601. */
  readonly since: string
  readonly topics: string[]
}

export interface UserPresence {
  readonly user: string
  readonly online: boolean
  readonly streams: StreamPresence[]
}

export interface OnlineUser {
  readonly user: string
  /** How many streams he has open. */
  readonly streams: number
}

export interface OnlinePage {
  readonly users: OnlineUser[]
  /** Where the next page begins: pass it as `after`. Null on the last page. */
  readonly next: string | null
}

export interface OnlineCount {
  readonly users: number
  readonly streams: number
}

/** Who is online. Asked asynchronously, because with many nodes the answer is not in this process. */
export class Presence {
  readonly #registry: StreamRegistry

  constructor(registry: StreamRegistry) {
    this.#registry = registry
  }

  /** How many users and streams there are now. */
  online(): OnlineCount {
    return { users: this.#registry.users, streams: this.#registry.size }
  }

  /** How many open streams listen to at least one of the channels. */
  countListeners(channels: readonly Channel[]): number {
    return this.#registry.countListeners(channels)
  }

  async isOnline(user: string): Promise<boolean> {
    return this.#registry.countOfUser(user) > 0
  }

  async of(user: string): Promise<UserPresence> {
    const streams = Array.from(this.#registry.ofUser(user), describeStream)
    return { user, online: streams.length > 0, streams }
  }

  /** The users who are online, in the order of their names, after a name. */
  async page(after: string, limit: number): Promise<OnlinePage> {
    const names = Array.from(this.#registry.userNames()).filter((name) => name > after)
    const page = names.sort().slice(0, limit)
    const users = page.map((user) => ({ user, streams: this.#registry.countOfUser(user) }))
    return { users, next: names.length > limit ? (page[page.length - 1] as string) : null }
  }
}

function describeStream(stream: EventStream): StreamPresence {
  return { id: stream.id, since: new Date(stream.since).toISOString(), topics: [...stream.topics] }
}
