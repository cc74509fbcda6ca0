import type { Clock } from '../clock.ts'
import { DeadlineHeap } from '../deadline-heap.ts'
import type { Cluster, LocalNode, StreamEntry } from './cluster.ts'

const NONE = { users: 0, streams: 0 }
/** How often deadlines are checked at least, in milliseconds; a short grace is checked four times. */
const MAX_CHECK = 1_000
const MIN_CHECK = 10
/** Max. number of users within their leave grace: of more, the one whose grace ends first is offline at once. */
const MAX_ABSENT = 1_000_000

/** The cluster of a hub with one node: all commands and queries are no-ops. */
export const SINGLE_NODE: Cluster = {
  isSingleNode: true,
  isSettled: true,
  elsewhere: NONE,
  join: async () => {},
  opened: () => {},
  changed: () => {},
  closed: () => {},
  reserve: async () => true,
  countListeners: async (targets) => targets.map(() => 0),
  countOfUser: async () => 0,
  areOnline: async (users) => users.map(() => false),
  ofUser: async () => [],
  users: async () => [],
  close: async () => 0,
  changeTopics: async () => 0,
  hold: async () => Number.POSITIVE_INFINITY,
  release: async () => {},
  leave: async () => {}
}

/** Like {@link SINGLE_NODE}, for one hub: reports which users come and go. */
export function singleNode(clock: Clock): Cluster {
  const users = new PresenceOfOne(clock)
  return {
    ...SINGLE_NODE,
    join: async (node) => users.begin(node),
    opened: (stream) => users.opened(stream),
    closed: (stream, absence) => users.closed(stream, absence),
    leave: async () => users.end()
  }
}

class PresenceOfOne {
  readonly #clock: Clock
  /** Users whose last stream was closed, until their leave grace is over. */
  readonly #absent = new DeadlineHeap<string>()
  #node: LocalNode | undefined
  #stop: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  begin(node: LocalNode): void {
    this.#node = node
    const users = new Set<string>()
    for (const { user } of node.streams()) if (user !== null) users.add(user)
    for (const user of users) this.#report(user, true)
  }

  end(): void {
    this.#node = undefined
    this.#absent.clear()
    this.#checkWhileNeeded()
  }

  opened({ user }: StreamEntry): void {
    const node = this.#node
    if (user === null || node?.countOfUser(user) !== 1) return
    if (!this.#absent.delete(user) && node.isWatching) this.#report(user, true)
    this.#checkWhileNeeded()
  }

  closed({ user }: StreamEntry, absence: number): void {
    const node = this.#node
    // Without a listener nothing is remembered: no timer runs for users who have left.
    if (user === null || !node?.isWatching || node.countOfUser(user) !== 0) return
    this.#absent.set(user, this.#clock.monotonic() + absence)
    if (this.#absent.size > MAX_ABSENT) this.#takeDue(Number.POSITIVE_INFINITY)
    this.#checkWhileNeeded()
  }

  #checkWhileNeeded(): void {
    if (this.#absent.size === 0) {
      this.#stop?.()
      this.#stop = undefined
    } else if (this.#stop === undefined) {
      const interval = Math.min(MAX_CHECK, Math.max(MIN_CHECK, (this.#node as LocalNode).presenceGrace / 4))
      this.#stop = this.#clock.every(interval, () => this.#check())
    }
  }

  #check(): void {
    const now = this.#clock.monotonic()
    while (this.#takeDue(now));
    this.#checkWhileNeeded()
  }

  #takeDue(now: number): boolean {
    const user = this.#absent.takeDue(now)
    if (user !== undefined) this.#report(user, false)
    return user !== undefined
  }

  /** Reports later: the stream that makes a user online is not subscribed yet. */
  #report(user: string, isOnline: boolean): void {
    const change = { user, isOnline, at: this.#clock.now() }
    queueMicrotask(() => this.#node?.report([change]))
  }
}
