import type { Clock } from '../clock.ts'

/** How long the queue works before it lets the event loop turn, in milliseconds. */
const SLICE = 5
/** How much of that may go on history, so that a storm of returning streams holds up the loop no longer than it must. */
const HISTORY_SLICE = 2
/** Reading the clock costs about as much as queueing; so many deliveries share one look. */
const DELIVERIES_A_LOOK = 16

/** What waits in the queue: a stream. */
export interface Deliverable {
  /** Writes what it is owed. */
  flush(): void
  /** Reads and writes one page of history. */
  catchUp(): void
}

/**
 * The streams that something is due for. All that becomes due in one turn of the event loop leaves in one write a stream;
 * work on many streams goes in slices, between which the loop turns, and what comes meanwhile joins what is still owed.
 * Who is level goes before who is catching up, so that a storm of returning streams delays nobody else.
 */
export class DeliveryQueue<Stream extends Deliverable> {
  readonly #clock: Clock
  readonly #onError: (stream: Stream, error: unknown) => void
  #pending: Stream[] = []
  #replaying: Stream[] = []
  #isScheduled = false

  /** @param onError what one stream throws, which keeps nothing from the others. */
  constructor(clock: Clock, onError: (stream: Stream, error: unknown) => void) {
    this.#clock = clock
    this.#onError = onError
  }

  /** Puts a stream that is owed events in the queue; the stream sees to it that it is there once. */
  flushSoon(stream: Stream): void {
    this.#pending.push(stream)
    this.#schedule()
  }

  /** Puts a stream that has history to read in the queue; the stream sees to it that it is there once. */
  catchUpSoon(stream: Stream): void {
    this.#replaying.push(stream)
    this.#schedule()
  }

  /** How many streams have history to read. */
  get replaying(): number {
    return this.#replaying.length
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    this.#isScheduled = false
    const begun = this.#clock.monotonic()
    this.#pending = this.#work(this.#pending, (stream) => stream.flush(), DELIVERIES_A_LOOK, begun + SLICE)
    // A page of history is worth a look at the clock each; the first is read in any case, or a busy hub would read none.
    const replaying = this.#replaying
    this.#replaying = []
    const left = this.#work(replaying, (stream) => stream.catchUp(), 1, begun + HISTORY_SLICE)
    this.#replaying = left.length === 0 ? this.#replaying : left.concat(this.#replaying)
    if (this.#pending.length > 0 || this.#replaying.length > 0) this.#schedule()
  }

  /** Returns those that it did not come to. */
  #work(queue: Stream[], deliver: (stream: Stream) => void, look: number, until: number): Stream[] {
    for (let at = 0; at < queue.length; at++) {
      if (at > 0 && at % look === 0 && this.#clock.monotonic() >= until) return queue.slice(at)
      const stream = queue[at] as Stream
      try {
        deliver(stream)
      } catch (error) {
        this.#onError(stream, error)
      }
    }
    return []
  }
}
