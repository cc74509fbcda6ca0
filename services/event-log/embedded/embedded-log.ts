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

/** How many entries are dropped at a time, so that dropping never blocks the event loop for long. */
const SLICE = 256
/** Milliseconds between rounds of maintenance; without `sync` each of them flushes to the disk. */
const MAINTENANCE_INTERVAL = 1_000
export interface EmbeddedLogParts {
  readonly store: Store
  readonly durability: 'sync' | 'process'
  readonly retention: Retention
  readonly idempotencyWindow: number
  readonly clock: Clock
  readonly logger: StoreLogger
}

/** The event log in a folder of this machine. Every decision is made within a transaction, from the stored state. */
export class EmbeddedLog implements EventLog, HealthCheck {
  readonly #parts: EmbeddedLogParts
  readonly #store: Store
  readonly #recent = new RecentEvents()
  readonly #waiting = new AppendQueue()
  readonly #tails = new Set<TailListener>()
  readonly #health: StoreHealth
  readonly #stopMaintenance: () => void
  /** Offset from monotonic time to log time. Log time never goes back, not even over restarts. */
  readonly #clockOffset: number
  #state: State
  /** Up to where events were dispatched to the tails. */
  #dispatched: Cursor
  readonly #removed = { evicted: 0, expired: 0 }
  #turn = 0
  #overfull: ReadonlySet<Channel> = new Set()
  /** Entries are due to be dropped. */
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
    this.#clockOffset = Math.max(clock.now(), this.#state.time) - clock.monotonic()
    this.#stopMaintenance = clock.every(MAINTENANCE_INTERVAL, () => this.#startMaintenance())
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
    // A separate object, so that the same listener can have several tails.
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
    const { events, bytes, channels, head, inboxBytes } = this.#state
    return {
      kind: 'embedded',
      events,
      bytes,
      channels,
      head,
      hasInboxes: inboxBytes > 0,
      removed: { ...this.#removed }
    }
  }

  async ready(): Promise<boolean> {
    if (this.#closed !== undefined || this.#health.hasFailed || !this.#isIntact()) return false
    // An empty append retries the failed write; if it fails again, the log is not ready.
    if (this.#health.isFailing) await this.append([]).catch(() => undefined)
    return !this.#health.isFailing && this.#closed === undefined && !this.#health.hasFailed
  }

  #now(): number {
    return this.#clockOffset + this.#parts.clock.monotonic()
  }

  /** Writes queued appends group by group, and drops due entries with them, until nothing remains. Runs once at a time. */
  async #run(): Promise<void> {
    // Appends of the same turn of the event loop share the group.
    await new Promise((resolve) => setImmediate(resolve))
    while ((!this.#waiting.isEmpty || this.#isDropping) && this.#closed === undefined) {
      this.#isDropping = false
      await this.#appendGroup(this.#waiting.takeGroup())
      // Yields to the event loop between two groups.
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
        receipts = group.map(({ events }) => appendedOrRejected(writing, events))
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

  /** Runs the body and drops due entries in one transaction. This object's state changes only after the commit. */
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
    this.#removed.evicted += writing.removed.evicted
    this.#removed.expired += writing.removed.expired
    this.#overfull = writing.overfull
    this.#health.isFailing = false
    this.#isUnflushed = this.#parts.durability === 'process'
    this.#isDropping = writing.isUnfinished || Writing.isDue(this.#state, retention, this.#now())
    for (const event of writing.appended) this.#recent.add(event)
    for (const seq of writing.retracted) this.#recent.delete(seq)
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

  /** Drops due entries slice by slice, and flushes writes that no append waits for. */
  #startMaintenance(): void {
    if (this.#closed !== undefined || this.#health.hasFailed) return
    this.#isIntact()
    if (this.#health.hasFailed) return
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
      this.#parts.logger.error({ err: error }, 'the event log could not be flushed to the disk when it was closed')
    } finally {
      await this.#store.close()
    }
  }
}

/** A batch that is rejected for its content does not affect the others of its group. */
function appendedOrRejected(writing: Writing, events: readonly NewEvent[]): readonly Receipt[] | Error {
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
