import type { Clock } from '../../clock.ts'
import { type Channel, EVERYONE } from '../../events/channel.ts'
import type { Cursor } from '../../events/cursor.ts'
import { randomText } from '../../random.ts'
import type { Interest } from '../event-log.ts'
import { IdleChannels } from './idle-channels.ts'

/** Instead of a channel: all events. */
export const ALL = '*'

type Wanted = Channel | typeof ALL

/** Max. number of channels of one change, which blocks Redis. */
const CHANGED = 500
/** How long to wait after a change that failed, in milliseconds. */
const RETRY = 250

/** Max. number of changes that are registered while one reply is on its way. */
const NAMES = 100

/** The outcomes of register.lua. */
const GONE = 0
const NO_ROOM = -1

/** A change of the registered interests; repeated as it is until Redis has answered. */
export interface InterestChange {
  readonly before: string
  readonly name: string
  readonly added: readonly Wanted[]
  readonly ended: readonly Wanted[]
}

export interface Registration {
  readonly outcome: number
  /** The head of the log when the change was registered. */
  readonly head: Cursor
  /** The tail that the change is about. */
  readonly tail: string
}

export interface NodeInterestParts {
  readonly clock: Clock
  /** Whether a change would be sent now. */
  readonly isUp: () => boolean
  readonly register: (change: InterestChange) => Promise<Registration>
  /** The tail with this id is gone, or has lost interests: the node needs a new one. */
  readonly onGone: (tail: string) => void
  /** These channels have listeners from before their registration, which read history again. */
  readonly onLate: (channels: readonly Channel[]) => void
}

interface Batch {
  readonly done: Promise<void>
  readonly resolve: () => void
}

/**
 * The channels that this node listens to, counted, and registered in Redis: the node's tail gets the events of these and those
 * for everyone. The events of a channel are complete here from its registration on.
 */
export class NodeInterest implements Interest {
  readonly #parts: NodeInterestParts
  readonly #counts = new Map<Wanted, number>()
  /** For each registered channel, the number from which on its events are complete here. */
  readonly #since = new Map<Channel, number>()
  /** The same for all channels, while the tail gets all events. */
  #allSince: number | undefined
  #waiting = new Set<Wanted>()
  #ended = new Set<Wanted>()
  readonly #idle: IdleChannels
  /** Channels with listeners that did not wait for the registration. */
  readonly #late = new Set<Wanted>()
  #settled = newBatch()
  #change: InterestChange | undefined
  #changing: ReadonlySet<Wanted> = new Set()
  /** For the channels of the change, unless some of their batch still wait; and for those that wait. */
  #current: Batch | undefined
  #next = newBatch()
  #tail = ''
  /** There is no room for more interests: the tail gets all events. */
  #isFull = false
  #isScheduled = false
  #isRunning = false
  #isClosed = false
  /** The number of registered changes, and the names of the newest of them. */
  #changes = 0
  #names: string[] = []
  #retry: NodeJS.Timeout | undefined

  constructor(parts: NodeInterestParts) {
    this.#parts = parts
    this.#idle = new IdleChannels(parts.clock, (channel) => this.#unregister(channel))
  }

  add(channels: readonly Wanted[]): Promise<void> | undefined {
    const unknown = this.#count(channels)
    if (unknown.length === 0) return undefined
    if (this.#isClosed || this.#tail === '' || !this.#parts.isUp()) {
      this.#addLate(unknown)
      return undefined
    }
    // The change in progress is finished before those that wait.
    const isWaiting = this.#current === undefined || unknown.some((channel) => this.#waiting.has(channel))
    return isWaiting ? this.#next.done : this.#current?.done
  }

  addAtOnce(channels: readonly Channel[]): void {
    this.#addLate(this.#count(channels))
  }

  delete(channels: readonly Wanted[]): void {
    for (const channel of channels) {
      const count = this.#counts.get(channel)
      if (count === undefined) continue
      if (count > 1) this.#counts.set(channel, count - 1)
      else this.#end(channel)
    }
  }

  /** Whether all events of these channels after a number have come, or will come, to this node. */
  isComplete(channels: readonly Channel[], seq: number): boolean {
    if (this.#allSince !== undefined && this.#allSince <= seq) return true
    return channels.every(
      (channel) => channel === EVERYONE || (this.#since.get(channel) ?? Number.POSITIVE_INFINITY) <= seq
    )
  }

  /** The number from which on all events come to this node; undefined if not all do. */
  get allSince(): number | undefined {
    return this.#allSince
  }

  get isWanted(): boolean {
    return this.#counts.size > 0
  }

  /** Whether channels have listeners and wait for their registration. Until it is done, no head may be promised to them. */
  get isLate(): boolean {
    return this.#late.size > 0
  }

  /** Resolves when no channel is late. */
  get settled(): Promise<void> {
    return this.#late.size === 0 ? Promise.resolve() : this.#settled.done
  }

  /** The number of changes that have been registered. */
  get changes(): number {
    return this.#changes
  }

  /**
   * Whether a change may be the newest one in Redis, in a reply to a call that was sent when `changes` had this value. If it may not,
   * Redis has lost interests.
   */
  isExpected(name: string, changes: number): boolean {
    if (name === this.#change?.name) return true
    const newer = this.#changes - changes
    return this.#names.slice(-1 - newer).includes(name)
  }

  /** The node has a new tail, which gets all events or, without interests, those for everyone. */
  joined(tail: string, name: string, head: Cursor, isAll: boolean): void {
    this.#tail = tail
    this.#names = []
    this.#register(name)
    this.#abandon()
    this.#isFull = false
    this.#since.clear()
    this.#idle.clear()
    this.#ended.clear()
    this.#allSince = isAll ? head.seq : undefined
    this.#waiting = new Set([...this.#counts.keys()].filter((channel) => !isAll || channel !== ALL))
    if (isAll) {
      this.#late.clear()
      this.#release()
      this.#settle()
    }
    this.#schedule()
  }

  /** Redis is back. */
  retry(): void {
    if (this.#retry === undefined) return
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#schedule()
  }

  close(): void {
    this.#isClosed = true
    this.#idle.clear()
    clearTimeout(this.#retry)
    this.#late.clear()
    this.#release()
    this.#settle()
  }

  /** Counts listeners, and returns the channels that are not registered. */
  #count(channels: readonly Wanted[]): Wanted[] {
    const unknown: Wanted[] = []
    for (const channel of channels) {
      if (channel === EVERYONE) continue
      this.#counts.set(channel, (this.#counts.get(channel) ?? 0) + 1)
      if (channel === ALL ? this.#allSince !== undefined : this.#since.has(channel)) {
        this.#idle.delete(channel as Channel)
        continue
      }
      if (!this.#changing.has(channel)) {
        // An end that was not sent yet must not follow the registration.
        this.#ended.delete(channel)
        this.#waiting.add(channel)
      }
      if (this.#allSince === undefined) unknown.push(channel)
    }
    if (this.#waiting.size > 0) this.#schedule()
    return unknown
  }

  #addLate(channels: readonly Wanted[]): void {
    if (this.#isClosed) return
    for (const channel of channels) this.#late.add(channel)
  }

  #end(channel: Wanted): void {
    this.#counts.delete(channel)
    this.#waiting.delete(channel)
    if (this.#late.delete(channel)) this.#settle()
    if (channel === ALL) this.#schedule()
    else if (this.#since.has(channel)) this.#idle.add(channel)
  }

  #unregister(channel: Channel): void {
    this.#since.delete(channel)
    this.#ended.add(channel)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isRunning || this.#isClosed || this.#tail === '') return
    this.#isScheduled = true
    // The connection writes once in a turn of the event loop: streams that open in this turn share the change.
    setImmediate(() => {
      this.#isScheduled = false
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#retry !== undefined) return
    this.#isRunning = true
    try {
      for (let change = this.#begun(); change !== undefined && !this.#isClosed; change = this.#begun()) {
        const registration = await this.#parts.register(change)
        // A change of an earlier tail has no effect: its channels wait again.
        if (change === this.#change && registration.tail === this.#tail && !this.#onRegistered(change, registration))
          break
      }
    } catch {
      // Redis is away, or rejects writes; the connection logs that. The listeners wait no longer.
      this.#onFailure()
    }
    this.#isRunning = false
  }

  #onFailure(): void {
    if (this.#isClosed) return
    const missing = [...(this.#change?.added ?? []), ...this.#waiting]
    if (this.#allSince === undefined) this.#addLate(missing.filter((channel) => this.#counts.has(channel)))
    this.#release()
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#schedule()
    }, RETRY).unref()
  }

  /** The change in progress, or the next one, if there is anything to change. */
  #begun(): InterestChange | undefined {
    if (this.#change !== undefined) return this.#change
    const isAllWanted = this.#isFull || this.#counts.has(ALL)
    if (this.#waiting.size === 0 && this.#allSince !== undefined && !isAllWanted) {
      // All channels are registered again. From now on each is complete by itself.
      this.#allSince = undefined
      this.#ended.add(ALL)
    }
    if (this.#isFull) this.#waiting = new Set(this.#allSince === undefined ? [ALL] : [])
    if (this.#waiting.size === 0 && this.#ended.size === 0) return undefined
    const added = taken(this.#waiting)
    const ended = taken(this.#ended)
    this.#change = { before: this.#names.at(-1) ?? '', name: randomText(10), added, ended }
    this.#changing = new Set(added)
    if (this.#waiting.size === 0) {
      this.#current = this.#next
      this.#next = newBatch()
    }
    return this.#change
  }

  /** The change in progress will have no effect: its listeners wait for the next one. */
  #abandon(): void {
    const { done } = this.#next
    if (this.#current !== undefined) void done.then(this.#current.resolve)
    this.#change = undefined
    this.#changing = new Set()
    this.#current = undefined
  }

  /** Returns false if the tail is of no use any more. */
  #onRegistered({ name, added }: InterestChange, { outcome, head, tail }: Registration): boolean {
    if (outcome === GONE || outcome === NO_ROOM) {
      for (const channel of added) this.#waiting.add(channel)
      this.#abandon()
      if (outcome === GONE) this.#parts.onGone(tail)
      else this.#isFull = true
      return outcome === NO_ROOM
    }
    this.#change = undefined
    this.#changing = new Set()
    this.#register(name)
    const late = [...this.#late].filter((channel): channel is Channel => channel !== ALL)
    if (added.includes(ALL)) {
      this.#allSince = head.seq
      this.#late.clear()
    }
    for (const channel of added) {
      if (channel === ALL) continue
      this.#since.set(channel, this.#allSince ?? head.seq)
      this.#late.delete(channel)
      if (!this.#counts.has(channel)) this.#idle.add(channel)
    }
    const registered = late.filter((channel) => !this.#late.has(channel))
    if (registered.length > 0) this.#parts.onLate(registered)
    this.#current?.resolve()
    this.#current = undefined
    this.#settle()
    return true
  }

  #register(name: string): void {
    this.#changes++
    this.#names.push(name)
    if (this.#names.length > NAMES) this.#names.shift()
  }

  /** Lets all listeners go on. */
  #release(): void {
    this.#current?.resolve()
    this.#next.resolve()
    this.#next = newBatch()
  }

  #settle(): void {
    if (this.#late.size > 0) return
    this.#settled.resolve()
    this.#settled = newBatch()
  }
}

function newBatch(): Batch {
  let resolve: () => void = () => {}
  const done = new Promise<void>((settle) => {
    resolve = settle
  })
  return { done, resolve }
}

/** Removes some of a set, and returns them. */
function taken(set: Set<Wanted>): Wanted[] {
  const found: Wanted[] = []
  for (const each of set) {
    if (found.length === CHANGED) break
    found.push(each)
    set.delete(each)
  }
  return found
}
