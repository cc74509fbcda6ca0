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
  /** What the log held when it was asked, if that is what the answer will say. */
  readonly result: ReadResult | undefined
  readonly resolve: (result: ReadResult) => void
  readonly reject: (error: Error) => void
}

/**
 * A memory log at the other end of a slow and faulty line: reads are answered when the test says so, in any order, from what
 * was held when they were asked or when they are answered, or not at all; the tail lags behind, and breaks.
 * Several of them may share one memory log, as nodes share a server.
 */
export class SlowLog implements EventLog {
  /** Whether reads wait for `answer`. */
  isSlow: boolean
  /** Whether what the tail brings waits for `handOver`. */
  isLagging: boolean
  /** So many of the next reads are rejected. */
  failingReads = 0
  /** The next append fails: before anything was stored, or after, so that its caller cannot know. */
  failingAppend: 'before' | 'after' | undefined
  #inner: MemoryLog
  readonly #chance: () => number
  #reads: WaitingRead[] = []
  #arrived: LogEvent[] = []
  #isBroken = false
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
    if (failure === 'before') throw new LogUnavailableError('the line is down')
    const receipts = await this.#inner.append(events)
    if (failure === 'after') throw new LogUnavailableError('the line went down before the answer came')
    return receipts
  }

  read(query: ReadQuery): ReadResult | Promise<ReadResult> {
    if (this.failingReads > 0) {
      this.failingReads--
      return Promise.reject(new LogUnavailableError('the line is down'))
    }
    if (!this.isSlow) return this.#inner.read(query)
    const result = this.#chance() < 0.5 ? this.#inner.read(query) : undefined
    return new Promise((resolve, reject) => {
      this.#reads.push({ query, result, resolve, reject })
    })
  }

  /** Where the log at the other end is now. */
  get head(): Cursor {
    return this.#inner.read({ channels: ['everyone'], from: 'head', limit: 1 }).next
  }

  /** How many reads wait for their answer. */
  get waiting(): number {
    return this.#reads.length
  }

  /** How many events the tail holds back. */
  get lagging(): number {
    return this.#arrived.length + (this.#isBroken ? 1 : 0)
  }

  /** Answers so many of the waiting reads, whichever chance takes. */
  answer(count = Number.POSITIVE_INFINITY): void {
    for (let left = count; left > 0; left--) {
      const read = this.#takeRead()
      if (read === undefined) return
      read.resolve(read.result ?? this.#inner.read(read.query))
    }
  }

  /** Fails one of the waiting reads, or all. */
  fail(count = Number.POSITIVE_INFINITY): void {
    for (let left = count; left > 0; left--) {
      const read = this.#takeRead()
      if (read === undefined) return
      read.reject(new LogUnavailableError('the line went down'))
    }
  }

  /** Hands over so many of the events that the tail holds back, in one batch; a break that is due comes first. */
  dispatch(count = Number.POSITIVE_INFINITY): void {
    if (this.#isBroken) this.#break()
    const events = this.#arrived.splice(0, Math.min(count, this.#arrived.length))
    if (events.length > 0) this.#listener?.onEvents(events)
  }

  /** The tail loses its line: what it holds back never arrives, and the listener is told. */
  break(): void {
    this.#arrived = []
    this.#break()
  }

  /** The store is replaced by another, as when it comes back empty. The tail finds out when it next hands something over. */
  async replace(inner: MemoryLog): Promise<void> {
    this.#inner = inner
    await this.#tail?.stop()
    this.#arrived = []
    this.#isBroken = true
    if (this.#listener !== undefined) this.#tail = await inner.tail(this.#arrivals)
  }

  async tail(listener: TailListener): Promise<Tail> {
    this.#listener = listener
    this.#isBroken = false
    this.#tail = await this.#inner.tail(this.#arrivals)
    const stop = async () => {
      this.#listener = undefined
      await this.#tail?.stop()
    }
    return { position: this.#tail.position, stop }
  }

  /** Lets go of the line; the log at its other end stays. */
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

  #break(): void {
    this.#isBroken = false
    this.#listener?.onDiscontinuity(this.head)
  }
}
