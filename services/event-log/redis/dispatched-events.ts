import type { Cursor } from '../../events/cursor.ts'
import type { LogState } from './log-state.ts'

/**
 * The newest entry that this node knows. Each script first compares it with the log: a log without the entry has lost its
 * tail, and the script records that loss for readers that are disconnected.
 */
export class DispatchedEvents {
  #head: Cursor | undefined
  #epoch = ''
  #born = 0

  /** As an argument of the scripts. */
  get text(): string {
    return this.#head === undefined ? '' : `${this.#head.seq} ${this.#head.witness} ${this.#born}`
  }

  /** Call it with each reply. Replies of two connections may overtake each other: the one with the higher number is newer. */
  observe({ epoch, born, head }: LogState): void {
    if (this.#head !== undefined && born < this.#born) return
    const isOther = epoch !== this.#epoch || born !== this.#born
    this.#epoch = epoch
    this.#born = born
    if (isOther || this.#head === undefined || head.seq > this.#head.seq) this.#head = head
  }

  /** Call it with each entry that the tail has dispatched. */
  dispatched(cursor: Cursor): void {
    if (cursor.witness.startsWith(this.#epoch) && this.#head !== undefined && cursor.seq > this.#head.seq)
      this.#head = cursor
  }
}
