import { EVERYONE } from '../../events/channel.ts'
import type { LocalNode, StreamEntry } from '../cluster.ts'
import { UnwrittenUsers } from './unwritten-users.ts'

/** The change of a stream since it was last written. */
export type Change = 'opened' | 'present' | 'closed'

interface Entry {
  readonly stream: StreamEntry
  readonly change: Change
  /** The leave grace of its user in milliseconds, if it was closed. */
  readonly absence: number
  /** The topics that the stream may be written with, if they have changed since. */
  readonly former?: readonly string[] | undefined
  /** All topics that the stream has had since: their counts are written. */
  readonly counted?: ReadonlySet<string> | undefined
}

/** Changes on their way to Redis. */
export interface Batch {
  readonly entries: readonly Entry[]
  /** The streams among them that were just opened. */
  readonly opened: readonly StreamEntry[]
  /** As `write.lua` takes it. */
  readonly json: string
}

/** Max. number of streams of one script, which blocks Redis; that is about two milliseconds. */
const MAX_STREAMS = 250

/**
 * The unwritten changes of this node's streams. A batch has the current state, not differences, so that writing it twice is
 * harmless; each stream has at most one entry, however often it changed.
 */
export class PresenceChanges {
  readonly #local: LocalNode
  readonly #entries = new Map<string, Entry>()
  readonly users = new UnwrittenUsers()

  constructor(local: LocalNode) {
    this.#local = local
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  /** @param topics the topics that the stream had before, if they have changed. */
  note(stream: StreamEntry, change: Change, absence = 0, topics?: readonly string[]): void {
    const unwritten = this.#entries.get(stream.id)
    const former = unwritten?.former ?? topics
    const counted = topics === undefined ? unwritten?.counted : new Set([...(unwritten?.counted ?? []), ...topics])
    // A stream that has changed its topics has still just been opened.
    const isNew = topics !== undefined && unwritten?.change === 'opened'
    this.#entries.set(stream.id, { stream, change: isNew ? 'opened' : change, absence, former, counted })
  }

  /** Notes who came and left, also while nothing can be written. */
  noteUser({ user }: StreamEntry, change: Change, absence: number): void {
    if (user === null) return
    const count = this.#local.countOfUser(user)
    if (change === 'opened' && count === 1) this.users.opened(user)
    else if (change === 'closed' && count === 0) this.users.closed(user, absence)
  }

  /** Begins anew with all streams of this node. */
  noteAll(): void {
    this.clear()
    for (const stream of this.#local.streams()) this.note(stream, 'present')
  }

  clear(): void {
    this.#entries.clear()
  }

  take(): Batch {
    const entries: Entry[] = []
    for (const [id, entry] of this.#entries) {
      if (entries.length === MAX_STREAMS) break
      entries.push(entry)
      this.#entries.delete(id)
    }
    const opened = entries.filter(({ change }) => change === 'opened').map(({ stream }) => stream)
    return { entries, opened, json: JSON.stringify(this.#describe(entries)) }
  }

  /** Redis has a batch. */
  written({ entries }: Batch): void {
    for (const { stream } of entries) if (stream.user !== null) this.users.written(stream.user)
  }

  /** Takes back a batch that was not written; later changes take precedence. */
  putBack({ entries }: Batch): void {
    for (const entry of entries) {
      const later = this.#entries.get(entry.stream.id) ?? entry
      const counted = new Set([...(entry.counted ?? []), ...(later.counted ?? [])])
      this.#entries.set(entry.stream.id, { ...later, former: entry.former ?? later.former, counted })
    }
  }

  #describe(entries: readonly Entry[]) {
    const opened: unknown[] = []
    const closed: unknown[] = []
    const counts = new Map<string, number>([
      ['streams', this.#local.size],
      ['everyone', this.#local.countListeners(EVERYONE)]
    ])
    for (const { stream, change, absence, former, counted = [] } of entries) {
      const { user, topics, follows, since } = stream
      for (const topic of [...topics, ...counted]) counts.set(`t:${topic}`, this.#local.countListeners(`t:${topic}`))
      if (user === null) continue
      if (follows) counts.set(`f:${user}`, this.#local.countOfUser(user) - this.#local.countListeners(`u:${user}`))
      if (former !== undefined) closed.push([user, textOf({ id: stream.id, topics: former }), absence])
      if (change === 'closed') closed.push([user, textOf(stream), absence])
      else opened.push([user, textOf(stream), since, change === 'opened', this.users.mayBeNew(user)])
    }
    return { opened, closed, counts: [...counts] }
  }
}

/** A stream as text in Redis: its id, and its topics if it has any. */
export function textOf({ id, topics }: Pick<StreamEntry, 'id' | 'topics'>): string {
  return topics.length === 0 ? id : `${id} ${JSON.stringify(topics)}`
}

export function parseText(text: string): { id: string; topics: string[] } {
  const [id = ''] = text.split(' ', 1)
  return { id, topics: id.length === text.length ? [] : JSON.parse(text.slice(id.length + 1)) }
}
