import type { ReadFrom, ReadResult } from '../event-log/event-log.ts'
import { type Cursor, isSameEpoch } from '../events/cursor.ts'
import type { GapReason } from '../events/gap-reason.ts'
import { gapFrame } from '../events/hub-frames.ts'

/** Where a stream begins. */
export interface Beginning {
  readonly from: ReadFrom
  /** Where the hub was when the stream was opened: what comes after it is owed, whatever `from` says. */
  readonly opened: Cursor | undefined
  /** The client brought a last event ID, and `from` is what it says. */
  readonly resumes: boolean
  /** The client brought a last event ID that is no cursor: it is told, and given what is held. */
  readonly isUnknown: boolean
}

/** Where a stream is in the log, and what its client knows of that. */
export class StreamPosition {
  /** Whether the client brought a cursor. */
  readonly resumes: boolean
  /** Where to read on from. Everything up to it has been given. */
  #from: ReadFrom
  /** The number of the last id that the client was sent: behind `from` where nothing was addressed to it. */
  #lastSent = 0
  /** Up to where the client knows that history is missing. */
  #reportedGap = 0
  /** Where the hub was when a client without a cursor came: it never asked for what is missing before. */
  #opened: Cursor | undefined
  /** The log's head when the stream was opened or last read: shows a reset that a stream without a cursor would not notice. */
  #lastHead: Cursor | undefined
  #isUnknown: boolean
  /** Whether the client came without a cursor before the hub knew its own: what is missing on its first page it never asked for. */
  #isUnplaced: boolean

  constructor({ from, opened, resumes, isUnknown }: Beginning) {
    this.#from = from
    this.#opened = resumes || isUnknown ? undefined : opened
    this.#lastHead = opened
    this.resumes = resumes
    this.#isUnknown = isUnknown
    this.#isUnplaced = opened === undefined && !resumes && !isUnknown
  }

  get from(): ReadFrom {
    return this.#from
  }

  get cursor(): Cursor | undefined {
    return typeof this.#from === 'object' && 'seq' in this.#from ? this.#from : undefined
  }

  /** The number up to which everything has been given. */
  get reached(): number {
    return this.cursor?.seq ?? 0
  }

  /** The client was sent this id. */
  sent(cursor: Cursor): void {
    this.#from = cursor
    this.#lastSent = cursor.seq
  }

  /** There was nothing for the client up to here. */
  skipTo(cursor: Cursor): void {
    this.#from = cursor
  }

  /** Whether the hub's head is further on than the client knows, and no place of another life of the log. */
  isAhead(head: Cursor): boolean {
    if (head.seq <= this.#lastSent) return false
    return head.seq > this.reached || head.witness === this.cursor?.witness
  }

  /**
   * Whether the newest events, which were asked for, are all of the time since the stream was opened: then more of that time
   * may have come before them, and it is read from there instead.
   */
  beginsAtOpening(page: ReadResult): boolean {
    if (this.#opened === undefined || typeof this.#from !== 'object' || !('last' in this.#from)) return false
    if ((page.events[0]?.cursor?.seq ?? 0) <= this.#opened.seq) return false
    this.#from = this.#opened
    return true
  }

  /** What a page lacks and the client was not told of. */
  gapIn(page: ReadResult): GapReason | undefined {
    const wasReset =
      this.cursor === undefined && this.#lastHead !== undefined && !isSameEpoch(page.next, this.#lastHead)
    this.#lastHead = page.next
    if (this.#isUnknown) {
      this.#isUnknown = false
      return 'unknown'
    }
    if (this.#isUnplaced) {
      this.#isUnplaced = false
      this.#reportedGap = page.evicted
    }
    if (wasReset) return 'reset'
    if (page.gap !== undefined && page.gap !== 'evicted') return page.gap
    // A log tells what is missing after a cursor; a stream without one is owed what came since it was opened.
    const known = this.cursor === undefined ? Math.max(this.#reportedGap, this.#opened?.seq ?? 0) : this.#reportedGap
    const isMissing = this.cursor === undefined || page.gap !== undefined
    return isMissing && page.evicted > known ? 'evicted' : undefined
  }

  /**
   * The cursor that the client's welcome carries: never ahead of what it has been given, so with history to come the one that
   * it brought, and after a gap none.
   */
  welcome(page: ReadResult, gap: GapReason | undefined): Cursor | undefined {
    if (gap !== undefined) return undefined
    return page.events.length === 0 ? page.next : this.cursor
  }

  /** The client was welcomed with this cursor. */
  welcomed(cursor: Cursor | undefined): void {
    if (cursor !== undefined) this.#lastSent = cursor.seq
  }

  /** The event that tells the client of a gap; from then on it knows. */
  reportGap(page: ReadResult, reason: GapReason): string {
    const next = page.events.length === 0 ? page.next : undefined
    const frame = gapFrame({ from: this.cursor, oldest: page.events[0]?.id ?? null, reason }, next)
    if (next !== undefined) this.#lastSent = next.seq
    this.#reportedGap = page.evicted
    // The client's position is nowhere in this log: that is reported once, even if nothing after it can be written yet.
    if (reason !== 'evicted') {
      this.#from = 'oldest'
      this.#opened = undefined
    }
    return frame
  }
}
