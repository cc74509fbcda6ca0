import type { Clock } from '../clock.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { EventLog, ReadFrom, ReadResult } from '../event-log/event-log.ts'
import type { Channel } from '../events/channel.ts'
import { type Cursor, parseCursor } from '../events/cursor.ts'
import type { LogEvent, NewEvent } from '../events/log-event.ts'
import type { Logger } from '../logger.ts'
import { Pause } from './pause.ts'

export interface LoggedQueueOptions {
  /** Names the queue, and the role of the node that consumes it. */
  readonly name: string
  readonly log: EventLog
  readonly cluster: Pick<Cluster, 'hold' | 'release'>
  readonly clock: Clock
  readonly logger: Logger
}

/** An entry of the queue. */
export interface QueueEntry {
  readonly cursor: Cursor
  /** The cursor as text: the same whenever the entry is consumed again. */
  readonly id: string
  readonly data: string
  /** When it was appended, in milliseconds since the Unix epoch. */
  readonly time: number
  /** The trace of the event that the entry is about. */
  readonly trace: string | undefined
}

/**
 * Consumes an entry. Returns the milliseconds until the next attempt, or, when the entry is done, events to append together with
 * the position.
 */
export type Consume = (entry: QueueEntry) => Promise<number | readonly NewEvent[]>

const ENTRY = 'hub.queued'
/** The event whose data is the cursor of the newest entry that is done. */
const DONE = 'hub.done'
/** How often the log is read for entries of other nodes, and the role is renewed or requested, in milliseconds. */
const INTERVAL = 1_000
const PAGE = 100
/** How often waiting entries are counted before another attempt, in milliseconds. */
const COUNT_INTERVAL = 10_000

/** A control character, which no name of a topic has. Of these, JSON escapes U+0000 to U+001F, and some libraries U+007F. */
const PREFIX = 't:\u0080'

/**
 * A queue in the event log. Its entries are events of a channel that no draft and no stream can name. One node at a time
 * consumes them, in order.
 *
 * The position is an event of the same channel. Retention evicts the oldest first, so the position outlives all entries that
 * are done: none is consumed again. Only a consumer that ends before its position is stored leaves its last entry to the next.
 */
export class LoggedQueue {
  /** How often entries were evicted, or lost by the store, before they were consumed. */
  gaps = 0
  /** How many entries wait, as of the last read; 0 on a node that does not consume. */
  length = 0
  readonly #options: LoggedQueueOptions
  readonly #channel: Channel
  readonly #pause: Pause
  /** The newest entry that is done. Undefined until the node has read it from the log. */
  #position: Cursor | 'oldest' | undefined
  /** Until when this node has the role, in monotonic time. */
  #heldUntil = 0
  #isStopped = false
  #hasFailed = false
  #running: Promise<void> | undefined
  #stopRenewal: (() => void) | undefined

  constructor(options: LoggedQueueOptions) {
    this.#options = options
    this.#channel = `${PREFIX}${options.name}`
    this.#pause = new Pause(options.clock)
  }

  /** Whether this node consumes the queue. */
  get isHolder(): boolean {
    return this.#options.clock.monotonic() < this.#heldUntil
  }

  /**
   * An entry, for the log's `append`. Call {@link LoggedQueue.notify} afterwards.
   * @param trace the trace of the event that it is about.
   */
  entry(data: string, trace?: string): NewEvent {
    return this.#event({ event: ENTRY, data, trace })
  }

  /** This node has appended entries. */
  notify(): void {
    this.#pause.wake()
  }

  start(consume: Consume): void {
    this.#stopRenewal = this.#options.clock.every(INTERVAL, () => void this.#renew())
    this.#running = this.#run(consume)
  }

  /** Resolves when the current call of `consume` has ended, its position is stored, and the role is released. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopRenewal?.()
    this.#pause.end()
    await this.#running
    await this.#options.cluster.release(this.#options.name)
  }

  /** Never rejects. */
  async #run(consume: Consume): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#consumePage(consume)
        this.#hasFailed = false
      } catch (error) {
        this.#report(error)
        await this.#pause.wait(INTERVAL)
      }
    }
  }

  async #consumePage(consume: Consume): Promise<void> {
    if (!this.isHolder && !(await this.#renew())) {
      // Another node moves the position on.
      this.#position = undefined
      this.length = 0
      return this.#pause.wait(INTERVAL)
    }
    this.#position ??= await this.#storedPosition()
    const page = await this.#read(this.#position)
    if (page.gap !== undefined) this.#reportGap(page.gap)
    if (page.gap !== undefined && page.gap !== 'evicted') {
      // The log has lost the position: with a part of the log, or with all of it.
      this.#position = undefined
      return
    }
    const entries = page.events.filter(({ event }) => event === ENTRY)
    for (const [at, entry] of entries.entries()) {
      this.length = entries.length - at + page.remaining
      if (!(await this.#finish(entry, consume))) return
    }
    this.length = page.remaining
    this.#position = page.next
    if (entries.length === 0 && page.remaining === 0) await this.#pause.wait(INTERVAL, { canWake: true })
  }

  /** Consumes an entry until it is done, and stores the position. Returns whether this node may go on. */
  async #finish({ cursor, id, data, time, trace }: LogEvent, consume: Consume): Promise<boolean> {
    const entry = { cursor: cursor as Cursor, id: id as string, data, time, trace }
    let follows: readonly NewEvent[]
    for (;;) {
      if (this.#isStopped || !this.isHolder) return false
      const outcome = await consume(entry)
      if (typeof outcome !== 'number') {
        follows = outcome
        break
      }
      await this.#waitFor(outcome)
    }
    // Another node that has the role by now stores positions of its own.
    while (this.isHolder) {
      try {
        await this.#options.log.append([...follows, this.#event({ event: DONE, data: entry.id, collapseKey: DONE })])
        this.#position = entry.cursor
        return true
      } catch (error) {
        this.#report(error)
        if (this.#isStopped) return false
        await this.#pause.wait(INTERVAL)
      }
    }
    return false
  }

  /** Waits as long as this node may go on, and counts meanwhile. */
  async #waitFor(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0 && this.isHolder && !this.#isStopped; left -= COUNT_INTERVAL) {
      const { events, remaining } = await this.#read(this.#position as ReadFrom)
      this.length = events.filter(({ event }) => event === ENTRY).length + remaining
      await this.#pause.wait(Math.min(left, COUNT_INTERVAL))
    }
  }

  async #storedPosition(): Promise<Cursor | 'oldest'> {
    let stored: LogEvent | undefined
    let page: ReadResult | undefined
    do {
      page = await this.#read(page?.next ?? 'oldest')
      stored = page.events.findLast(({ event }) => event === DONE) ?? stored
    } while (page.remaining > 0)
    return (stored && parseCursor(stored.data)) ?? 'oldest'
  }

  async #read(from: ReadFrom): Promise<ReadResult> {
    return this.#options.log.read({ channels: [this.#channel], from, limit: PAGE })
  }

  /** Returns whether this node has the role. Never rejects. */
  async #renew(): Promise<boolean> {
    const { cluster, clock, name } = this.#options
    const now = clock.monotonic()
    try {
      this.#heldUntil = now + (await cluster.hold(name))
    } catch {
      // The role ends by itself. The cluster logs that it cannot be reached.
    }
    return this.isHolder
  }

  #event({ event, data, collapseKey, trace }: Pick<NewEvent, 'event' | 'data' | 'collapseKey' | 'trace'>): NewEvent {
    return { channels: [this.#channel], event, data, collapseKey, trace, transient: false, final: false, streams: 0 }
  }

  #reportGap(gap: string): void {
    this.gaps++
    const message = `entries of the queue "${this.#options.name}" were evicted before they were consumed, or the store lost them`
    this.#options.logger.error({ gap, gaps: this.gaps }, message)
  }

  /** Logs the first of consecutive failures. */
  #report(error: unknown): void {
    if (!this.#hasFailed) {
      const message = `the queue "${this.#options.name}" could not be consumed; the hub retries until it can`
      this.#options.logger.warn({ err: error }, message)
    }
    this.#hasFailed = true
  }
}
