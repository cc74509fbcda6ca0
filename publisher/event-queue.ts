import type { Receipt } from './batch-request.ts'
import type { PublisherError } from './publisher-error.ts'

/** An event that waits for its receipt. */
export interface QueuedEvent {
  readonly json: string
  readonly bytes: number
  /** When it is given up, on the monotonic clock. */
  readonly deadline: number
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (error: PublisherError) => void
}

/** The events that wait, in their order, under a bound of their number and size. */
export class EventQueue {
  readonly #maxEvents: number
  readonly #maxBytes: number
  #events: QueuedEvent[] = []
  #bytes = 0
  #waiting: (() => void)[] = []

  constructor(maxEvents: number, maxBytes: number) {
    this.#maxEvents = maxEvents
    this.#maxBytes = maxBytes
  }

  get length(): number {
    return this.#events.length
  }

  get isFull(): boolean {
    return this.#events.length >= this.#maxEvents || this.#bytes >= this.#maxBytes
  }

  add(event: QueuedEvent): void {
    this.#events.push(event)
    this.#bytes += event.bytes
  }

  /** The first events, at least one of them: at most so many, and of so many bytes. They stay until they are removed. */
  first(maxEvents: number, maxBytes: number): readonly QueuedEvent[] {
    let bytes = 0
    let count = 0
    for (const event of this.#events) {
      bytes += event.bytes
      if (count === maxEvents || (count > 0 && bytes > maxBytes)) break
      count++
    }
    return this.#events.slice(0, count)
  }

  /** Removes the first events. */
  remove(count: number): void {
    for (const { bytes } of this.#events.slice(0, count)) this.#bytes -= bytes
    this.#events = this.#events.slice(count)
    if (this.isFull) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  /** Resolves when there is room. */
  room(): Promise<void> {
    return this.isFull ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve()
  }
}
