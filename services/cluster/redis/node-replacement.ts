import type { Clock } from '../../clock.ts'
import type { StreamEntry } from '../cluster.ts'
import { textOf } from './presence-changes.ts'

export interface ReplacingParts {
  readonly clock: Clock
  /**
   * Closes the oldest streams of users who have too many. Resolves with those users of whom that is not certain yet, or with
   * undefined if nobody could be asked.
   * @param mayAsk whether the other nodes are to be asked to write what they have.
   */
  readonly replace: (users: readonly SuspectEntry[], mayAsk: boolean) => Promise<readonly string[] | undefined>
}

/** A user, when he seemed to have too many streams, on Redis's clock, and which streams were opened then. */
export type SuspectEntry = readonly [user: string, since: number, streams: readonly string[]]

/** At most so many users are suspected at a time: of more of them the limit is not kept until their next stream. */
const MAX_USERS = 10_000
/** And of each so many new streams are remembered. */
const MAX_STREAMS = 100
/** A script blocks Redis for everybody, so it is given so many users at most. */
const BATCH = 100
/** How long after the first attempt the second comes, and after how long there is one at most, in milliseconds. */
const FIRST_WAIT = 50
const LONGEST_WAIT = 1_000

/**
 * Users who seem to have too many streams. A stream that another node has closed may still stand in Redis, if that node has not written it
 * yet or is cut off; a stream is closed for good only once every node has written all that it knew when the newest was opened.
 */
export class Replacing {
  readonly #parts: ReplacingParts
  readonly #suspects = new Map<string, { since: number; streams: string[] }>()
  #wait = FIRST_WAIT
  #stop: (() => void) | undefined
  /** Whether the other nodes have not been asked yet to write what they have. */
  #mayAsk = false
  #isAsking = false
  #isClosed = false

  constructor(parts: ReplacingParts) {
    this.#parts = parts
  }

  /** Takes the users of streams that have just been opened who seem to have too many. */
  suspect(users: readonly string[], opened: readonly StreamEntry[], since: number): void {
    if (users.length === 0 || this.#isClosed) return
    for (const user of users) {
      if (this.#suspects.size >= MAX_USERS && !this.#suspects.has(user)) continue
      const before = this.#suspects.get(user)?.streams ?? []
      const streams = [...before, ...opened.filter((stream) => stream.user === user).map(textOf)]
      // A new object: an answer about the former is no answer about this one.
      this.#suspects.set(user, { since, streams: streams.slice(-MAX_STREAMS) })
    }
    this.#wait = FIRST_WAIT
    this.#mayAsk = true
    this.#askSoon()
  }

  close(): void {
    this.#isClosed = true
    this.#suspects.clear()
    this.#stop?.()
  }

  #askSoon(): void {
    if (this.#isAsking) return
    this.#stop?.()
    this.#isAsking = true
    void this.#ask().then(() => {
      this.#isAsking = false
      if (this.#suspects.size === 0 || this.#isClosed) return
      this.#stop = this.#parts.clock.every(this.#wait, () => this.#askSoon())
      this.#wait = Math.min(LONGEST_WAIT, 2 * this.#wait)
    })
  }

  /** Never rejects, as `replace` does not. */
  async #ask(): Promise<void> {
    const asked = [...this.#suspects].slice(0, BATCH)
    const mayAsk = this.#mayAsk
    this.#mayAsk = false
    const entries = asked.map(([user, { since, streams }]): SuspectEntry => [user, since, streams])
    const open = await this.#parts.replace(entries, mayAsk)
    if (open === undefined) return
    for (const [user, suspect] of asked) {
      if (this.#suspects.get(user) !== suspect) continue
      // A user who is still suspected comes after those who have not been asked about.
      this.#suspects.delete(user)
      if (open.includes(user)) this.#suspects.set(user, suspect)
    }
  }
}
