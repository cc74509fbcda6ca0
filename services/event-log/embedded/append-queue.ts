import { LogUnavailableError } from '../../errors.ts'
import type { NewEvent } from '../../events/log-event.ts'
import type { Receipt } from '../event-log.ts'

/** Size of a group of appends that are written together: larger ones would delay the appends behind them. */
const GROUP_EVENTS = 1_000
const GROUP_TEXT = 4_194_304
/** Bounds of the queue before a slow disk; the text is in UTF-16 units. */
const MAX_EVENTS = 20_000
const MAX_TEXT = 33_554_432

export interface QueuedAppend {
  readonly events: readonly NewEvent[]
  readonly resolve: (receipts: readonly Receipt[]) => void
  readonly reject: (error: Error) => void
}

/** Appends that arrived while another group was being written, in order. */
export class AppendQueue {
  #waiting: QueuedAppend[] = []
  #events = 0
  #text = 0

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Settled by the caller that takes the group; rejected at once when the queue is full. An only append may have any size. */
  add(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    const text = textOf(events)
    const isFull = this.#events + events.length > MAX_EVENTS || this.#text + text > MAX_TEXT
    if (isFull && !this.isEmpty) return Promise.reject(new LogUnavailableError('too many events wait for the disk'))
    this.#events += events.length
    this.#text += text
    return new Promise((resolve, reject) => this.#waiting.push({ events, resolve, reject }))
  }

  /** Removes the appends that are written next, together. */
  takeGroup(): QueuedAppend[] {
    let events = 0
    let text = 0
    let count = 0
    for (const waiting of this.#waiting) {
      if (events >= GROUP_EVENTS || text >= GROUP_TEXT) break
      events += waiting.events.length
      text += textOf(waiting.events)
      count++
    }
    this.#events -= events
    this.#text -= text
    return this.#waiting.splice(0, count)
  }

  rejectAll(error: Error): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#events = 0
    this.#text = 0
    for (const { reject } of waiting) reject(error)
  }
}

/** In UTF-16 units. */
export function textOf(events: readonly NewEvent[]): number {
  return events.reduce((sum, { data }) => sum + data.length, 0)
}
