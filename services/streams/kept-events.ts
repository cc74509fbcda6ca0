import type { LogEvent } from '../events/log-event.ts'

/** How many bytes of kept events a stream takes, and how many each event counts besides its text. */
const MAX_BYTES = 131_072
const ENTRY_BYTES = 64

/** An event without a position in the log. */
export interface KeptEvent {
  readonly text: string
  /** The transient event; undefined for one that was sent to the stream alone. */
  readonly event?: LogEvent | undefined
  /** A report of the stream's topics without an id; where there is no room, it replaces earlier reports. */
  readonly bare?: string | undefined
  /** Called once: with true when the socket has taken the text and can take more, with false when the stream closes before. */
  readonly onTaken?: ((isTaken: boolean) => void) | undefined
}

interface Entry extends KeptEvent {
  text: string
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
    // The newest report says all, and a client that changes its topics and never reads must not cost more and more memory.
    if (kept.bare !== undefined && !this.hasRoom) this.#retain(({ bare }) => bare === undefined)
    this.#entries.push({ ...kept, after })
    this.#bytes += kept.text.length + ENTRY_BYTES
  }

  /** After a discontinuity the sequence begins anew: the kept events then follow the head of the log. */
  moveTo(head: number): void {
    for (const entry of this.#entries) {
      entry.after = head
      if (entry.bare === undefined) continue
      this.#bytes += entry.bare.length - entry.text.length
      entry.text = entry.bare
    }
  }

  /** Drops the transient events that the stream no longer listens to. */
  retainHeard(isHeard: (event: LogEvent) => boolean): void {
    this.#retain(({ event }) => event === undefined || isHeard(event))
  }

  #retain(isRetained: (entry: Entry) => boolean): void {
    const entries = this.#entries
    this.#entries = entries.filter(isRetained)
    if (this.#entries.length === entries.length) return
    this.#bytes = this.#entries.reduce((sum, { text }) => sum + text.length + ENTRY_BYTES, 0)
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
