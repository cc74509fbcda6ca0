import type { Cursor } from '../../events/cursor.ts'
import type { LogState } from './log-state.ts'

/**
 * The newest entry that this node has heard of. Each script compares it with the log before it does anything: a log that lacks
 * the entry has lost its tail, and the script records that, for the sake of readers who are away.
 */
export class DispatchedEvents {
  #head: Cursor | undefined
  #epoch = ''
  #born = 0

  /** As a script reads it. */
  get text(): string {
    return this.#head === undefined ? '' : `${this.#head.seq} ${this.#head.witness} ${this.#born}`
  }

  /** A script has answered. Answers of two connections may overtake each other: the later one is of the higher number. */
  answered({ epoch, born, head }: LogState): void {
    if (this.#head !== undefined && born < this.#born) return
    const isOther = epoch !== this.#epoch || born !== this.#born
    this.#epoch = epoch
    this.#born = born
    if (isOther || this.#head === undefined || head.seq > this.#head.seq) this.#head = head
  }

  /** The tail has handed an entry over. */
  dispatched(cursor: Cursor): void {
    if (cursor.witness.startsWith(this.#epoch) && this.#head !== undefined && cursor.seq > this.#head.seq)
      this.#head = cursor
  }
}
