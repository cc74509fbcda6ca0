import type { Clock } from '../../clock.ts'
import { HubClosedError, IdempotencyKeyReusedError, LogUnavailableError } from '../../errors.ts'
import type { Channel } from '../../events/channel.ts'
import type { Cursor } from '../../events/cursor.ts'
import type { LogEvent, NewEvent } from '../../events/log-event.ts'
import type {
  EventLog,
  HealthCheck,
  LogStats,
  ReadQuery,
  ReadResult,
  Receipt,
  Tail,
  TailListener
} from '../event-log.ts'
import type { Retention } from '../retention.ts'
import { AppendQueue, type QueuedAppend } from './append-queue.ts'
import { RecentEvents } from './embedded-recent-events.ts'
import { readEvents } from './read-events.ts'
import type { Store } from './store.ts'
import { StoreHealth } from './store-health.ts'
import type { StoreLogger } from './store-logger.ts'
import type { State } from './tables.ts'
import { Writing } from './write-events.ts'

/** How much is dropped at a time, so that the event loop never stands still for it. */
const SLICE = 256
/** How often it is looked after what is due, and, without `sync`, what was written is brought to the disk. */
const LOOK_AFTER = 1_000
export interface EmbeddedLogParts {
  readonly store: Store
  readonly durability: 'sync' | 'process'
  readonly retention: Retention
  readonly idempotencyWindow: number
  readonly clock: Clock
  readonly logger: StoreLogger
}

/** The event log in a folder of this machine. All that is decided is decided within a transaction, from what is stored. */
export class EmbeddedLog implements EventLog, HealthCheck {
  readonly #parts: EmbeddedLogParts
  readonly #store: Store
  readonly #recent = new RecentEvents()
  readonly #waiting = new AppendQueue()
  readonly #tails = new Set<TailListener>()
  readonly #health: StoreHealth
  readonly #stopMaintenance: () => void
  /** What the log's own clock is ahead of the one that never jumps. The log's never goes back, over restarts neither. */
  readonly #ahead: number
  #state: State
  /** Up to where events were handed to the tails. */
  #dispatched: Cursor
  #turn = 0
  #overfull: ReadonlySet<Channel> = new Set()
  /** Something is due to be dropped. */
  #isDropping: boolean
  #running: Promise<void> | undefined
  #flushing: Promise<void> | undefined
  #isUnflushed = false
  #closed: Promise<void> | undefined

  constructor(parts: EmbeddedLogParts) {
    this.#parts = parts
    this.#store = parts.store
    this.#state = parts.store.state
    this.#health = new StoreHealth(parts.store, parts.clock, parts.logger)
    this.#dispatched = { seq: this.#state.head, witness: this.#state.witness }
    const { clock, retention } = parts
    this.#isDropping = this.#state.bytes > retention.bytes
    this.#ahead = Math.max(clock.now(), this.#state.time) - clock.monotonic()
    this.#stopMaintenance = clock.every(LOOK_AFTER, () => this.#startMaintenance())
  }

  append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    if (this.#closed !== undefined) return Promise.reject(new HubClosedError())
    const appended = this.#waiting.add(events)
    this.#running ??= this.#run()
    return appended
  }

  read(query: ReadQuery): ReadResult {
    if (this.#closed !== undefined) throw new HubClosedError()
    const { tables, epoch, witnessKeys } = this.#store
    const { age } = this.#parts.retention
    try {
      return readEvents({ tables, epoch, witnessKeys, recent: this.#recent, age }, query, this.#now())
    } catch (error) {
      throw error instanceof LogUnavailableError ? error : new LogUnavailableError(unreadable(error))
    }
  }

  async tail(listener: TailListener): Promise<Tail> {
    if (this.#closed !== undefined) throw new HubClosedError()
    // An object of its own, so that a listener may listen twice.
    const tail: TailListener = {
      onEvents: (events) => listener.onEvents(events),
      onDiscontinuity: (position) => listener.onDiscontinuity(position)
    }
    this.#tails.add(tail)
    const stop = async () => {
      this.#tails.delete(tail)
    }
    return { position: this.#dispatched, stop }
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
    if (this.#closed !== undefined || this.#health.hasFailed || !this.#isIntact()) return false
    // What failed is tried again, with nothing; if it fails again, the log is not ready.
    if (this.#health.isFailing) await this.append([]).catch(() => undefined)
    return !this.#health.isFailing && this.#closed === undefined && !this.#health.hasFailed
  }

  #now(): number {
    return this.#ahead + this.#parts.clock.monotonic()
  }

  /** Writes what waits, group by group, and what is due with it, until there is nothing more. One at a time. */
  async #run(): Promise<void> {
    // Whatever else is published in this turn of the event loop goes with it.
    await new Promise((resolve) => setImmediate(resolve))
    while ((!this.#waiting.isEmpty || this.#isDropping) && this.#closed === undefined) {
      this.#isDropping = false
      await this.#appendGroup(this.#waiting.takeGroup())
      // Between two groups the event loop turns.
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#running = undefined
    if (this.#closed !== undefined) this.#waiting.rejectAll(new HubClosedError())
  }

  /** Never rejects: a group that fails rejects its appends. */
  async #appendGroup(group: readonly QueuedAppend[]): Promise<void> {
    let receipts: (readonly Receipt[] | Error)[] = []
    let appended: readonly LogEvent[] = []
    try {
      this.#health.checkWritable(group)
      appended = await this.#write((writing) => {
        receipts = group.map(({ events }) => appendedOrRefused(writing, events))
      })
    } catch (error) {
      const failure = this.#health.failureOf(error as Error)
      for (const { reject } of group) reject(failure)
      return
    }
    this.#dispatch(appended)
    group.forEach(({ resolve, reject }, index) => {
      const answer = receipts[index] as readonly Receipt[] | Error
      if (answer instanceof Error) reject(answer)
      else resolve(answer)
    })
  }

  /** All that the body does and what falls due with it, or nothing. Until it is committed, all else is as before. */
  async #write(body: (writing: Writing) => void): Promise<readonly LogEvent[]> {
    const { retention, idempotencyWindow, clock } = this.#parts
    const { epoch, owner, witnesses, witnessKeys } = this.#store
    const now = this.#now()
    const position = { witnesses, witnessKeys, owner, turn: this.#turn, overfull: this.#overfull, slice: SLICE }
    let writing: Writing
    try {
      writing = await this.#store.transaction((tables) => {
        this.#health.checkOwner(tables, this.#state)
        const parts = { tables, epoch, retention, idempotencyWindow, now, time: clock.now(), ...position }
        const writing = new Writing(parts, this.#state)
        writing.expire()
        body(writing)
        writing.finish()
        return writing
      })
    } catch (error) {
      this.#health.isFailing = true
      throw error
    }
    this.#state = writing.state
    this.#turn = writing.turn
    this.#overfull = writing.overfull
    this.#health.isFailing = false
    this.#isUnflushed = this.#parts.durability === 'process'
    this.#isDropping = writing.isUnfinished || Writing.isDue(this.#state, retention, this.#now())
    for (const event of writing.appended) this.#recent.add(event)
    return writing.appended
  }

  #isIntact(): boolean {
    return this.#health.isIntact(this.#running === undefined ? this.#state : undefined)
  }

  #flush(): Promise<void> {
    this.#isUnflushed = false
    return this.#health.flush()
  }

  #dispatch(events: readonly LogEvent[]): void {
    if (events.length === 0) return
    this.#dispatched = events.findLast(({ cursor }) => cursor !== null)?.cursor ?? this.#dispatched
    for (const tail of [...this.#tails]) {
      if (!this.#tails.has(tail)) continue
      try {
        tail.onEvents(events)
      } catch (error) {
        this.#parts.logger.error({ err: error }, 'a listener of the event log failed')
      }
    }
  }

  /** Drops what is due, slice by slice, and brings to the disk what nobody waits for. */
  #startMaintenance(): void {
    if (this.#closed !== undefined || this.#health.hasFailed) return
    this.#isIntact()
    if (this.#health.hasFailed) return
    // What failed is tried again.
    if (this.#health.isFailing || this.#isDropping || Writing.isDue(this.#state, this.#parts.retention, this.#now())) {
      this.#isDropping = true
      this.#running ??= this.#run()
    }
    if (this.#isUnflushed && this.#flushing === undefined) {
      const done = () => {
        this.#flushing = undefined
      }
      this.#flushing = this.#flush().then(done, done)
    }
  }

  async #close(): Promise<void> {
    this.#stopMaintenance()
    this.#tails.clear()
    try {
      await this.#running
      await this.#flushing
      if (this.#isUnflushed && !this.#health.hasFailed) await this.#flush()
    } catch (error) {
      this.#parts.logger.error({ err: error }, 'the event log could not be brought to the disk when it was closed')
    } finally {
      await this.#store.close()
    }
  }
}

/** A batch that is refused for its content leaves the others of its group as they are. */
function appendedOrRefused(writing: Writing, events: readonly NewEvent[]): readonly Receipt[] | Error {
  try {
    return writing.append(events)
  } catch (error) {
    if (error instanceof IdempotencyKeyReusedError) return error
    throw error
  }
}

function unreadable(error: unknown): string {
  return `the store cannot be read (${(error as Error).message})`
}
