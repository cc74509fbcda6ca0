import type { Clock } from '../clock.ts'

/** How long the queue works before it lets the event loop turn, in milliseconds. */
const SLICE = 5
/**
 * How much of a slice is left at least for deliveries, in milliseconds, once their publishers have used the rest of it. Events that
 * these publish meanwhile leave in the next slice, in the same writes: 16 publishers to 1,000 streams deliver a third more.
 */
const MIN_SLICE = 2
/** More deliveries than this need several slices anyway, and get whole ones. */
const MANY = 2_000
/** How much of the slice may go to history, so that many returning streams do not block the event loop. */
const HISTORY_SLICE = 2
/** Reading the clock costs about as much as queueing, so this many deliveries share one reading. */
const DELIVERIES_PER_CLOCK_READ = 16

/** A stream as the queue sees it. */
export interface Deliverable {
  /** Writes the pending events. `now` is the monotonic time, as of a few deliveries ago at most. */
  flush(now: number): void
  /** Reads and writes one page of history. */
  catchUp(): void
}

type Deliver = (stream: Deliverable, now: number) => void
const FLUSH: Deliver = (stream, now) => stream.flush(now)
const CATCH_UP: Deliver = (stream) => stream.catchUp()

/**
 * The streams that have events to write. All events of one turn of the event loop leave in one write per stream. The queue
 * works in slices and lets the event loop turn between them; events that come meanwhile join the pending ones. Live streams
 * are served before replaying ones, so that many returning streams do not delay them.
 */
export class DeliveryQueue<Stream extends Deliverable> {
  readonly #clock: Clock
  readonly #onError: (stream: Stream, error: unknown) => void
  /** Called when all pending events are written. */
  onWritten: (() => void) | undefined
  #pending: Stream[] = []
  #replaying: Stream[] = []
  #isScheduled = false
  /** When the first stream of this turn was queued. */
  #scheduledAt = 0

  /** @param onError takes the error of one stream; the other streams go on. */
  constructor(clock: Clock, onError: (stream: Stream, error: unknown) => void) {
    this.#clock = clock
    this.#onError = onError
  }

  /** Queues a stream that has pending events. The stream queues itself at most once. */
  flushSoon(stream: Stream): void {
    this.#pending.push(stream)
    this.#schedule()
  }

  /** Queues a stream that has history to read. The stream queues itself at most once. */
  catchUpSoon(stream: Stream): void {
    this.#replaying.push(stream)
    this.#schedule()
  }

  /** Whether a stream has events to write. */
  get isPending(): boolean {
    return this.#pending.length > 0
  }

  /** The number of streams that have history to read. */
  get replaying(): number {
    return this.#replaying.length
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#scheduledAt = this.#clock.monotonic()
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    this.#isScheduled = false
    const begun = this.#clock.monotonic()
    // Where streams return, other work of the turn is not that of publishers, and live streams must not wait for it.
    const isWhole = this.#pending.length > MANY || this.#replaying.length > 0
    const slice = isWhole ? SLICE : Math.max(MIN_SLICE, SLICE - (begun - this.#scheduledAt))
    this.#pending = this.#work(this.#pending, FLUSH, DELIVERIES_PER_CLOCK_READ, begun, begun + slice)
    if (this.#pending.length === 0) this.onWritten?.()
    // The clock is read for each page of history. The first page is always read, or a busy hub would read none.
    const replaying = this.#replaying
    this.#replaying = []
    const rest = this.#work(replaying, CATCH_UP, 1, begun, begun + HISTORY_SLICE)
    this.#replaying = rest.length === 0 ? this.#replaying : rest.concat(this.#replaying)
    if (this.#pending.length > 0 || this.#replaying.length > 0) this.#schedule()
  }

  /** Returns the streams that remain when the time is over. */
  #work(queue: Stream[], deliver: Deliver, perClockRead: number, begun: number, until: number): Stream[] {
    let now = begun
    for (let at = 0; at < queue.length; at++) {
      if (at > 0 && at % perClockRead === 0) {
        now = this.#clock.monotonic()
        if (now >= until) return queue.slice(at)
      }
      const stream = queue[at] as Stream
      try {
        deliver(stream, now)
      } catch (error) {
        this.#onError(stream, error)
      }
    }
    return []
  }
}
