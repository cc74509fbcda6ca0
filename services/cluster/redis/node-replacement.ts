import type { Clock } from '../../clock.ts'
import type { StreamEntry } from '../cluster.ts'
import { textOf } from './presence-changes.ts'

export interface ReplacingParts {
  readonly clock: Clock
  /**
   * Closes the oldest streams of users with too many. Resolves with the users for which that is not certain yet, or with
   * undefined if Redis could not be reached.
   * @param mayRequest whether to request that the other nodes write their changes.
   */
  readonly replace: (users: readonly SuspectEntry[], mayRequest: boolean) => Promise<readonly string[] | undefined>
}

/** A user, when the user seemed to have too many streams, on Redis's clock, and the streams that were opened then. */
export type SuspectEntry = readonly [user: string, since: number, streams: readonly string[]]

/** Max. number of suspected users: for more of them the limit is not enforced until their next stream. */
const MAX_USERS = 10_000
/** Max. number of new streams that are remembered for each of them. */
const MAX_STREAMS = 100
/** Max. number of users of one script, which blocks Redis. */
const BATCH = 100
/** Delay after the first attempt, and max. delay between attempts, in milliseconds. */
const MIN_DELAY = 50
const MAX_DELAY = 1_000

/**
 * Users who seem to have too many streams. A stream that another node has closed may still be in Redis, if that node has not
 * written the change yet. So a stream is replaced only once every node has written all changes from before the newest stream.
 */
export class Replacing {
  readonly #parts: ReplacingParts
  readonly #suspects = new Map<string, { since: number; streams: string[] }>()
  #wait = MIN_DELAY
  #stop: (() => void) | undefined
  /** Whether to request that the other nodes write their changes, which happens once. */
  #mayRequest = false
  #isChecking = false
  #isClosed = false

  constructor(parts: ReplacingParts) {
    this.#parts = parts
  }

  /** Adds users who seem to have too many streams, with the streams that have just been opened. */
  suspect(users: readonly string[], opened: readonly StreamEntry[], since: number): void {
    if (users.length === 0 || this.#isClosed) return
    for (const user of users) {
      if (this.#suspects.size >= MAX_USERS && !this.#suspects.has(user)) continue
      const before = this.#suspects.get(user)?.streams ?? []
      const streams = [...before, ...opened.filter((stream) => stream.user === user).map(textOf)]
      // A new object: an answer about the former one does not apply to it.
      this.#suspects.set(user, { since, streams: streams.slice(-MAX_STREAMS) })
    }
    this.#wait = MIN_DELAY
    this.#mayRequest = true
    this.#checkSoon()
  }

  close(): void {
    this.#isClosed = true
    this.#suspects.clear()
    this.#stop?.()
  }

  #checkSoon(): void {
    if (this.#isChecking) return
    this.#stop?.()
    this.#isChecking = true
    void this.#check().then(() => {
      this.#isChecking = false
      if (this.#suspects.size === 0 || this.#isClosed) return
      this.#stop = this.#parts.clock.every(this.#wait, () => this.#checkSoon())
      this.#wait = Math.min(MAX_DELAY, 2 * this.#wait)
    })
  }

  /** Never rejects, as `replace` does not. */
  async #check(): Promise<void> {
    const checked = [...this.#suspects].slice(0, BATCH)
    const mayRequest = this.#mayRequest
    this.#mayRequest = false
    const entries = checked.map(([user, { since, streams }]): SuspectEntry => [user, since, streams])
    const open = await this.#parts.replace(entries, mayRequest)
    if (open === undefined) return
    for (const [user, suspect] of checked) {
      if (this.#suspects.get(user) !== suspect) continue
      // A user who is still suspected is queued behind those who have not been checked.
      this.#suspects.delete(user)
      if (open.includes(user)) this.#suspects.set(user, suspect)
    }
  }
}
