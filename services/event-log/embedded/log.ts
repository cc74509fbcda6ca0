import type { Clock } from '../../clock.ts'
import type { Cursor } from '../../cursor.ts'
import { HubClosedError, LogFullError, LogUnavailableError } from '../../errors.ts'
import type {
  EventLog,
  HealthCheck,
  LogEvent,
  LogStats,
  NewEvent,
  ReadQuery,
  ReadResult,
  Receipt,
  Tail,
  TailListener
} from '../event-log.ts'
import type { Retention } from '../retention.ts'
import { readEvents } from './reading.ts'
import { RecentEvents } from './recent-events.ts'
import { hasLessRoom, type Store } from './store.ts'
import type { State } from './tables.ts'
import { Writing } from './writing.ts'

/** Appends that wait go together until there are so many events: what is more would keep others waiting. */
const GROUP = 1_000
/** How much is dropped at a time, so that the event loop never stands still for it. */
const SLICE = 256
/** How often it is looked after what is due, and, without `sync`, what was written is brought to the disk. */
const LOOK_AFTER = 1_000
/** With less room than this on the disk, what fails to be written fails for want of it. */
const ROOM = 4_194_304

export interface EmbeddedLogParts {
  readonly store: Store
  readonly durability: 'sync' | 'process'
  readonly retention: Retention
  readonly idempotencyWindow: number
  readonly clock: Clock
}

interface Waiting {
  readonly events: readonly NewEvent[]
  readonly resolve: (receipts: readonly Receipt[]) => void
  readonly reject: (error: Error) => void
}

/** The event log in a folder of this machine. All that is decided is decided within a transaction, from what is stored. */
export class EmbeddedLog implements EventLog, HealthCheck {
  readonly #parts: EmbeddedLogParts
  readonly #store: Store
  readonly #recent = new RecentEvents()
  readonly #tails = new Set<TailListener>()
  readonly #stopLookingAfter: () => void
  /** What the log's own clock is ahead of the one that never jumps. The log's never goes back, over restarts neither. */
  readonly #ahead: number
  #state: State
  /** Up to where events were handed to the tails. */
  #handed: Cursor
  #turn = 0
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  #flushing: Promise<void> | undefined
  #isUnflushed = false
  /** The last write failed; or, for good, what was written could not be brought to the disk. */
  #isFailing = false
  #failed: Error | undefined
  #closed: Promise<void> | undefined

  constructor(parts: EmbeddedLogParts) {
    this.#parts = parts
    this.#store = parts.store
    this.#state = parts.store.state
    this.#handed = { seq: this.#state.head, witness: this.#state.witness }
    const { clock } = parts
    this.#ahead = Math.max(clock.now(), this.#state.time) - clock.monotonic()
    this.#stopLookingAfter = clock.every(LOOK_AFTER, () => this.#lookAfter())
  }

  append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    if (this.#closed !== undefined) return Promise.reject(new HubClosedError())
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  read(query: ReadQuery): ReadResult {
    if (this.#closed !== undefined) throw new HubClosedError()
    const { tables, life } = this.#store
    const { age } = this.#parts.retention
    return readEvents({ tables, life, recent: this.#recent, age }, query, this.#now())
  }

  async tail(listener: TailListener): Promise<Tail> {
    if (this.#closed !== undefined) throw new HubClosedError()
    // An object of its own, so that a listener may listen twice.
    const tail: TailListener = {
      onEvents: (events) => listener.onEvents(events),
      onBreak: (position) => listener.onBreak(position)
    }
    this.#tails.add(tail)
    const stop = async () => {
      this.#tails.delete(tail)
    }
    return { position: this.#handed, stop }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  stats(): LogStats {
    const { events, bytes, channels, head } = this.#state
    return { kind: 'embedded', events, bytes, channels, head }
  }

  async ready(): Promise<boolean> {
    if (this.#closed !== undefined || this.#failed !== undefined) return false
    if (this.#isFailing) this.#lookAfter()
    return !this.#isFailing
  }

  #now(): number {
    return this.#ahead + this.#parts.clock.monotonic()
  }

  /** Appends what waits, group by group, until nothing does. */
  async #run(): Promise<void> {
    // Whatever else is published in this turn of the event loop goes with it.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0 && this.#closed === undefined) {
      this.#appendGroup(this.#takeGroup())
      // Between two groups the event loop turns.
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#running = undefined
    if (this.#closed !== undefined) this.#rejectWaiting()
  }

  #takeGroup(): Waiting[] {
    let events = 0
    let count = 0
    while (count < this.#waiting.length && events < GROUP) events += this.#waiting[count++]?.events.length ?? 0
    return this.#waiting.splice(0, count)
  }

  #appendGroup(group: readonly Waiting[]): void {
    let receipts: Receipt[][] = []
    let appended: readonly LogEvent[] = []
    try {
      if (this.#failed !== undefined) throw this.#failed
      appended = this.#write((writing) => {
        receipts = group.map(({ events }) => writing.append(events))
      })
    } catch (error) {
      const failure = this.#failureOf(error as Error)
      for (const { reject } of group) reject(failure)
      return
    }
    this.#handOver(appended)
    group.forEach(({ resolve }, index) => {
      resolve(receipts[index] as Receipt[])
    })
  }

  /** All that the body does and what falls due with it, or nothing. */
  #write(body: (writing: Writing) => void): readonly LogEvent[] {
    const { retention, idempotencyWindow, clock } = this.#parts
    const { tables, life } = this.#store
    const now = this.#now()
    const parts = { tables, life, retention, idempotencyWindow, now, time: clock.now() }
    const writing = new Writing(parts, this.#state, this.#turn)
    try {
      this.#state = this.#store.transaction(() => {
        writing.expire(SLICE)
        body(writing)
        return writing.finish()
      })
    } catch (error) {
      this.#isFailing = true
      throw error
    }
    this.#turn = writing.turn
    this.#isFailing = false
    this.#isUnflushed = this.#parts.durability === 'process'
    for (const event of writing.appended) this.#recent.add(event)
    return writing.appended
  }

  /** Of what is not committed to the disk. Once it fails nobody knows what is on the disk: it is not tried again, and nothing more is taken. */
  async #flush(): Promise<void> {
    this.#isUnflushed = false
    try {
      await this.#store.flush()
    } catch (error) {
      this.#failed = new LogUnavailableError(
        `it could not be brought to the disk (${(error as Error).message}); what was published last may be there or not, and the hub has to be restarted`
      )
      throw this.#failed
    }
  }

  #failureOf(error: Error): Error {
    if (error instanceof LogUnavailableError) return error
    const { code } = error as { code?: unknown }
    const isFull = code === 28 || code === 122 || /MAP_FULL|ENOSPC/.test(error.message)
    if (isFull || hasLessRoom(this.#store.folder, ROOM)) return new LogFullError(error.message)
    return new LogUnavailableError(error.message)
  }

  #handOver(events: readonly LogEvent[]): void {
    if (events.length === 0) return
    this.#handed = events.findLast(({ cursor }) => cursor !== null)?.cursor ?? this.#handed
    for (const tail of [...this.#tails]) if (this.#tails.has(tail)) tail.onEvents(events)
  }

  /** Drops what is due, slice by slice, and brings to the disk what nobody waits for. */
  #lookAfter(): void {
    if (this.#closed !== undefined || this.#failed !== undefined) return
    if (this.#isFailing || Writing.isDue(this.#state, this.#parts.retention, this.#now())) {
      try {
        this.#write(() => {})
      } catch {
        // The next append tells, and the next look tries again.
        return
      }
      if (Writing.isDue(this.#state, this.#parts.retention, this.#now())) setImmediate(() => this.#lookAfter())
    }
    if (this.#isUnflushed && this.#flushing === undefined) {
      const done = () => {
        this.#flushing = undefined
      }
      this.#flushing = this.#flush().then(done, done)
    }
  }

  async #close(): Promise<void> {
    this.#stopLookingAfter()
    this.#tails.clear()
    await this.#running
    await this.#flushing
    if (this.#isUnflushed) await this.#flush().catch(() => {})
    await this.#store.close()
  }

  #rejectWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(new HubClosedError())
  }
}
