import type { Cursor } from '../events/cursor.ts'
import type { Final, LogEvent } from '../events/log-event.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import { formatEvent } from '../events/wire-format.ts'

/** The wire text of an event of the history, which is encoded once and kept with the event. */
export function frameOf(event: LogEvent): string {
  event.frame ??= newFrame(event)
  return event.frame
}

function newFrame({ event, data, id }: LogEvent): string {
  return formatEvent({ event, data, id: id ?? undefined })
}

/**
 * The events that are pending for a stream since its last write: an event, and the ones before it. Streams with the same
 * pending events share one object, and so the same bytes, which are encoded at the first write.
 *
 * The objects form a tree whose paths are sequences of events. Events come one at a time, so each object remembers only its
 * last branch, and all streams that take it find it there.
 */
export class PendingEvents {
  readonly #before: PendingEvents | undefined
  readonly #event: LogEvent
  /** It is not kept with the event: most events are never replayed, and those of one user are written once. */
  readonly #frame: string
  /** The cursor of the last event that is in the log, if there is one. */
  readonly cursor: Cursor | undefined
  /** Whether one of the events is final, and how the first of these ends a topic. */
  readonly final: Final
  /** The approximate number of bytes. */
  readonly size: number
  /** The number of events. */
  readonly count: number
  #branch: PendingEvents | undefined
  #bytes: WireBytes | undefined

  constructor(event: LogEvent, before?: PendingEvents, frame = event.frame ?? newFrame(event)) {
    this.#before = before
    this.#event = event
    this.#frame = frame
    this.cursor = event.cursor ?? before?.cursor
    this.final = before?.final || event.final
    this.count = before === undefined ? 1 : before.count + 1
    this.size = frame.length + (before === undefined ? 0 : before.size)
  }

  endsWith(event: LogEvent): boolean {
    return this.#event === event
  }

  /** These events, and then the last one of others. */
  and(others: PendingEvents): PendingEvents {
    if (this.#branch === undefined || !this.#branch.endsWith(others.#event))
      this.#branch = new PendingEvents(others.#event, this, others.#frame)
    return this.#branch
  }

  /** All events as wire text. */
  get text(): string {
    if (this.#before === undefined) return this.#frame
    const frames: string[] = []
    for (let pending: PendingEvents | undefined = this; pending !== undefined; pending = pending.#before)
      frames.push(pending.#frame)
    return frames.reverse().join('')
  }

  /** All events, encoded for one write. */
  get bytes(): WireBytes {
    this.#bytes ??= new WireBytes(this.text)
    return this.#bytes
  }
}
