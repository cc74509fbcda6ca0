import { HubClosedError, LogUnavailableError } from '../../services/errors.ts'
import type {
  EventLog,
  LogStats,
  ReadQuery,
  ReadResult,
  Receipt,
  Tail,
  TailListener
} from '../../services/event-log/event-log.ts'
import type { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'

interface WaitingRead {
  readonly query: ReadQuery
  /** The result at the time of the read, if the answer will have it. */
  readonly result: ReadResult | undefined
  readonly resolve: (result: ReadResult) => void
  readonly reject: (error: Error) => void
}

/**
 * A memory log behind a slow and faulty connection. Reads are answered when the test says so, in any order, with the
 * state of the read or of the answer, or not at all; the tail lags, and reports discontinuities. Several may share one
 * memory log, as nodes share a server.
 */
export class SlowLog implements EventLog {
  /** Whether reads wait for `answer`. */
  isSlow: boolean
  /** Whether the events of the tail wait for `dispatch`. */
  isLagging: boolean
  /** How many of the next reads are rejected. */
  failingReads = 0
  /** The next append fails: before the events were stored, or after, so that its caller cannot know. */
  failingAppend: 'before' | 'after' | undefined
  #inner: MemoryLog
  readonly #chance: () => number
  #reads: WaitingRead[] = []
  #arrived: LogEvent[] = []
  #hasDiscontinuity = false
  #listener: TailListener | undefined
  #tail: Tail | undefined

  constructor(
    inner: MemoryLog,
    {
      isSlow = true,
      isLagging = false,
      chance = () => 0
    }: { isSlow?: boolean; isLagging?: boolean; chance?: () => number } = {}
  ) {
    this.#inner = inner
    this.isSlow = isSlow
    this.isLagging = isLagging
    this.#chance = chance
  }

  async append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    const failure = this.failingAppend
    this.failingAppend = undefined
    if (failure === 'before') throw new LogUnavailableError('the connection is down')
    const receipts = await this.#inner.append(events)
    if (failure === 'after') throw new LogUnavailableError('the connection was lost before the answer came')
    return receipts
  }

  read(query: ReadQuery): ReadResult | Promise<ReadResult> {
    if (this.failingReads > 0) {
      this.failingReads--
      return Promise.reject(new LogUnavailableError('the connection is down'))
    }
    if (!this.isSlow) return this.#inner.read(query)
    const result = this.#chance() < 0.5 ? this.#inner.read(query) : undefined
    return new Promise((resolve, reject) => {
      this.#reads.push({ query, result, resolve, reject })
    })
  }

  /** The head of the inner log. */
  get head(): Cursor {
    return this.#inner.read({ channels: ['everyone'], from: 'head', limit: 1 }).next
  }

  /** Number of reads that wait for their answer. */
  get waiting(): number {
    return this.#reads.length
  }

  /** Number of events that the tail has not dispatched. */
  get lagging(): number {
    return this.#arrived.length + (this.#hasDiscontinuity ? 1 : 0)
  }

  /** Answers `count` of the waiting reads, in random order. */
  answer(count = Number.POSITIVE_INFINITY): void {
    for (let left = count; left > 0; left--) {
      const read = this.#takeRead()
      if (read === undefined) return
      read.resolve(read.result ?? this.#inner.read(read.query))
    }
  }

  /** Fails `count` of the waiting reads. */
  fail(count = Number.POSITIVE_INFINITY): void {
    for (let left = count; left > 0; left--) {
      const read = this.#takeRead()
      if (read === undefined) return
      read.reject(new LogUnavailableError('the connection was lost'))
    }
  }

  /** Dispatches up to `count` events of the tail, in one batch; a pending discontinuity comes first. */
  dispatch(count = Number.POSITIVE_INFINITY): void {
    if (this.#hasDiscontinuity) this.#reportDiscontinuity()
    const events = this.#arrived.splice(0, Math.min(count, this.#arrived.length))
    if (events.length > 0) this.#listener?.onEvents(events)
  }

  /** The tail loses its connection: its pending events never arrive, and the listener gets a discontinuity. */
  loseConnection(): void {
    this.#arrived = []
    this.#reportDiscontinuity()
  }

  /** Replaces the store, as when it comes back empty. The tail notices when it next dispatches. */
  async replace(inner: MemoryLog): Promise<void> {
    this.#inner = inner
    await this.#tail?.stop()
    this.#arrived = []
    this.#hasDiscontinuity = true
    if (this.#listener !== undefined) this.#tail = await inner.tail(this.#arrivals)
  }

  async tail(listener: TailListener): Promise<Tail> {
    this.#listener = listener
    this.#hasDiscontinuity = false
    this.#tail = await this.#inner.tail(this.#arrivals)
    const stop = async () => {
      this.#listener = undefined
      await this.#tail?.stop()
    }
    return { position: this.#tail.position, stop }
  }

  /** Closes the connection; the inner log stays open. */
  async close(): Promise<void> {
    for (const read of this.#reads.splice(0)) read.reject(new HubClosedError())
  }

  stats(): LogStats {
    return { ...this.#inner.stats(), kind: 'slow' }
  }

  readonly #arrivals: TailListener = {
    onEvents: (events) => {
      this.#arrived.push(...events)
      if (!this.isLagging) this.dispatch()
    },
    onDiscontinuity: () => {}
  }

  #takeRead(): WaitingRead | undefined {
    return this.#reads.splice(Math.floor(this.#chance() * this.#reads.length), 1)[0]
  }

  #reportDiscontinuity(): void {
    this.#hasDiscontinuity = false
    this.#listener?.onDiscontinuity(this.head)
  }
}
