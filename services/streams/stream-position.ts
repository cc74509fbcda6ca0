import type { ReadFrom, ReadResult } from '../event-log/event-log.ts'
import { type Cursor, isSameEpoch } from '../events/cursor.ts'
import type { GapReason } from '../events/gap-reason.ts'
import { gapFrame } from '../events/hub-frames.ts'

/** Where a stream begins. */
export interface Beginning {
  readonly from: ReadFrom
  /** The hub's head at the opening, if it was known: every event after it is pending, independent of `from`. */
  readonly opened: Cursor | undefined
  /** The client sent a last event ID, and `from` is its cursor. */
  readonly resumes: boolean
  /** The client sent a last event ID that is not a cursor: it gets a gap report and the retained events. */
  readonly isUnknown: boolean
}

/** The position of a stream in the log, and what its client knows of it. */
export class StreamPosition {
  /** Whether the client sent a cursor. */
  readonly resumes: boolean
  /** Where the next read begins. Every event before it was sent. */
  #from: ReadFrom
  /** The sequence number of the last id that the client received: less than `from` after events for other streams. */
  #lastSent = 0
  /** The sequence number up to which the client knows of missing history. */
  #reportedGap = 0
  /** The head at the opening, for a client without a cursor: history that is missing before it is not a gap. */
  #opened: Cursor | undefined
  /** The log's head at the opening or the last read: reveals a reset that a stream without a cursor would not notice. */
  #lastHead: Cursor | undefined
  #isUnknown: boolean
  /** The client has no cursor, and the hub did not know its head: history that is missing from the first page is not a gap. */
  #hasNoStart: boolean

  constructor({ from, opened, resumes, isUnknown }: Beginning) {
    this.#from = from
    this.#opened = resumes || isUnknown ? undefined : opened
    this.#lastHead = opened
    this.resumes = resumes
    this.#isUnknown = isUnknown
    this.#hasNoStart = opened === undefined && !resumes && !isUnknown
  }

  get from(): ReadFrom {
    return this.#from
  }

  get cursor(): Cursor | undefined {
    return typeof this.#from === 'object' && 'seq' in this.#from ? this.#from : undefined
  }

  /** The sequence number up to which every event was sent. */
  get reached(): number {
    return this.cursor?.seq ?? 0
  }

  /** The client received this id. */
  sent(cursor: Cursor): void {
    this.#from = cursor
    this.#lastSent = cursor.seq
  }

  /** No further event up to this cursor is addressed to the stream. */
  skipTo(cursor: Cursor): void {
    this.#from = cursor
  }

  /** The newer of the head and this position: all that follows it is new to the stream. */
  newest(head: Cursor): Cursor {
    const { cursor } = this
    return cursor !== undefined && isSameEpoch(cursor, head) && cursor.seq > head.seq ? cursor : head
  }

  /** Whether the hub's head is newer than the client's last id, and of the same epoch. */
  isAhead(head: Cursor): boolean {
    if (head.seq <= this.#lastSent) return false
    return head.seq > this.reached || head.witness === this.cursor?.witness
  }

  /**
   * Whether all the newest events, which the client asked for, came after the opening. Then earlier events may have come after
   * the opening as well, and the position moves there.
   */
  beginsAtOpening(page: ReadResult): boolean {
    if (this.#opened === undefined || typeof this.#from !== 'object' || !('last' in this.#from)) return false
    if ((page.events[0]?.cursor?.seq ?? 0) <= this.#opened.seq) return false
    this.#from = this.#opened
    return true
  }

  /** The reason of a gap before the page that the client does not know of yet. */
  gapIn(page: ReadResult): GapReason | undefined {
    const wasReset =
      this.cursor === undefined && this.#lastHead !== undefined && !isSameEpoch(page.next, this.#lastHead)
    this.#lastHead = page.next
    if (this.#isUnknown) {
      this.#isUnknown = false
      return 'unknown'
    }
    if (this.#hasNoStart) {
      this.#hasNoStart = false
      this.#reportedGap = page.evicted
    }
    if (wasReset) return 'reset'
    if (page.gap !== undefined && page.gap !== 'evicted') return page.gap
    // A log reports gaps after a cursor. For a stream without one, the events since its opening count.
    const known = this.cursor === undefined ? Math.max(this.#reportedGap, this.#opened?.seq ?? 0) : this.#reportedGap
    const isMissing = this.cursor === undefined || page.gap !== undefined
    return isMissing && page.evicted > known ? 'evicted' : undefined
  }

  /**
   * The cursor that the welcome carries. It is never ahead of the sent events: before history it is the client's own cursor,
   * and after a gap it is undefined.
   */
  welcome(page: ReadResult, gap: GapReason | undefined): Cursor | undefined {
    if (gap !== undefined) return undefined
    return page.events.length === 0 ? page.next : this.cursor
  }

  /** The welcome with this cursor was sent. */
  welcomed(cursor: Cursor | undefined): void {
    if (cursor !== undefined) this.#lastSent = cursor.seq
  }

  /**
   * The `hub.gap` event as wire text. The gap then counts as reported.
   * @param oldest the id of the first event that remains.
   */
  reportGap(page: ReadResult, reason: GapReason, oldest: string | null): string {
    const next = page.events.length === 0 ? page.next : undefined
    const frame = gapFrame({ from: this.cursor, oldest, reason }, next)
    if (next !== undefined) this.#lastSent = next.seq
    this.#reportedGap = page.evicted
    // This log does not have the client's position. That is reported once, even if no later event can be written yet.
    if (reason !== 'evicted') {
      this.#from = 'oldest'
      this.#opened = undefined
    }
    return frame
  }
}
