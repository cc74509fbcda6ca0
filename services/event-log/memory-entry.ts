import type { Channel } from '../channel.ts'
import { type Cursor, formatCursor } from '../cursor.ts'
import type { LogEvent, NewEvent } from './event-log.ts'

/** What an entry weighs besides its text: objects, cursor, places in the indexes. Measured over 100,000 entries. */
const ENTRY_OVERHEAD = 500

/** An event as the memory log holds it: once, however many channels it is filed under. */
export class MemoryEntry implements LogEvent {
  readonly cursor: Cursor | null
  readonly id: string | null
  readonly channels: readonly Channel[]
  readonly event: string
  readonly data: string
  readonly time: number
  readonly final: boolean
  frame: string | undefined = undefined

  /** When it was appended, on the clock that never jumps: age is measured with it. */
  readonly appendedAt: number
  readonly collapseKey: string | undefined
  /** What it weighs: its text twice, as data and encoded. */
  readonly bytes: number
  /** In how many channels it is still held. */
  held: number
  /** The entries before and after it in the sequence, of those that are still held. */
  older: MemoryEntry | undefined = undefined
  newer: MemoryEntry | undefined = undefined

  constructor(event: NewEvent, cursor: Cursor | null, time: number, appendedAt: number) {
    this.cursor = cursor
    this.id = cursor === null ? null : formatCursor(cursor)
    this.channels = event.channels
    this.event = event.event
    this.data = event.data
    this.time = time
    this.final = event.final
    this.appendedAt = appendedAt
    this.collapseKey = event.collapseKey
    this.bytes = 2 * Buffer.byteLength(event.data) + event.event.length + ENTRY_OVERHEAD
    this.held = event.channels.length
  }
}
