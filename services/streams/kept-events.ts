import type { LogEvent } from '../events/log-event.ts'

/** How many bytes of kept events a stream takes, and how many each event counts besides its text. */
const MAX_BYTES = 131_072
const ENTRY_BYTES = 64

/** An event without a position in the log. */
export interface KeptEvent {
  readonly text: string
  /** The transient event; undefined for one that was sent to the stream alone. */
  readonly event?: LogEvent | undefined
  /** Called once: with true when the socket has taken the text and can take more, with false when the stream closes before. */
  readonly onTaken?: ((isTaken: boolean) => void) | undefined
}

interface Entry extends KeptEvent {
  /** The sequence number of the last event of the log before it. */
  after: number
}

/**
 * Events that wait until a stream has been sent all events of the log before them: transient events that came while the stream
 * was opening, and events that the host sent to the stream alone.
 */
export class KeptEvents {
  #entries: Entry[] = []
  #bytes = 0
  /** The callbacks of events that were written, and whose socket was full then. */
  #written: ((isTaken: boolean) => void)[] = []

  /** Whether there is room for another event. */
  get hasRoom(): boolean {
    return this.#bytes < MAX_BYTES
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** @param after the sequence number of the newest event of the log. */
  add(kept: KeptEvent, after: number): void {
    this.#entries.push({ ...kept, after })
    this.#bytes += kept.text.length + ENTRY_BYTES
  }

  /** After a discontinuity the sequence begins anew: the kept events then follow the head of the log. */
  moveTo(head: number): void {
    for (const entry of this.#entries) entry.after = head
  }

  /** The text of the events before this sequence number, which the caller writes at once. Removes them. */
  takeBefore(seq: number): string {
    let text = ''
    for (let first = this.#entries[0]; first !== undefined && first.after < seq; first = this.#entries[0]) {
      this.#entries.shift()
      this.#bytes -= first.text.length + ENTRY_BYTES
      text += first.text
      this.wrote(first.onTaken)
    }
    return text
  }

  /** An event was written: `onTaken` waits for {@link settle}. */
  wrote(onTaken: KeptEvent['onTaken']): void {
    if (onTaken !== undefined) this.#written.push(onTaken)
  }

  /** The socket can take more. */
  settle(): void {
    if (this.#written.length === 0) return
    const written = this.#written
    this.#written = []
    for (const onTaken of written) onTaken(true)
  }

  /** The stream is closed. */
  close(): void {
    for (const { onTaken } of this.#entries) onTaken?.(false)
    for (const onTaken of this.#written) onTaken(false)
    this.#entries = []
    this.#written = []
  }
}
