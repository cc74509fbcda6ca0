import type { Cursor } from '../events/cursor.ts'
import type { LogEvent } from '../events/log-event.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import { formatEvent } from '../events/wire-format.ts'

/** An event as it stands on the wire, made once for each event. */
export function frameOf(event: LogEvent): string {
  event.frame ??= formatEvent({ event: event.event, data: event.data, id: event.id ?? undefined })
  return event.frame
}

/**
 * What a stream is owed since its last write: an event, and what it was owed before. Streams that are owed the same share
 * the same object, and so the same bytes, which are made when the first of them is written.
 *
 * The objects form a tree whose paths are sequences of events. Events come one at a time, so remembering the last branch of
 * each object is enough to find it again for all the streams that take it.
 */
export class PendingEvents {
  readonly #before: PendingEvents | undefined
  readonly #event: LogEvent
  /** The last event that has a place in the log, if there is one. */
  readonly cursor: Cursor | undefined
  /** Whether one of them ends the streams that follow it. */
  readonly final: boolean
  /** About how many bytes they are. */
  readonly size: number
  #branch: PendingEvents | undefined
  #bytes: WireBytes | undefined

  constructor(event: LogEvent, before?: PendingEvents) {
    this.#before = before
    this.#event = event
    this.cursor = event.cursor ?? before?.cursor
    this.final = event.final || before?.final === true
    this.size = frameOf(event).length + (before === undefined ? 0 : before.size)
  }

  /** Whether the last of them is this event. */
  endsWith(event: LogEvent): boolean {
    return this.#event === event
  }

  /** These, and then one more. */
  and(event: LogEvent): PendingEvents {
    if (this.#branch === undefined || !this.#branch.endsWith(event)) this.#branch = new PendingEvents(event, this)
    return this.#branch
  }

  /** All of them, as text. */
  get text(): string {
    if (this.#before === undefined) return frameOf(this.#event)
    const frames: string[] = []
    for (let pending: PendingEvents | undefined = this; pending !== undefined; pending = pending.#before)
      frames.push(frameOf(pending.#event))
    return frames.reverse().join('')
  }

  /** All of them, for one write. */
  get bytes(): WireBytes {
    this.#bytes ??= new WireBytes(this.text)
    return this.#bytes
  }
}
