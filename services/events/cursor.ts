import { randomText } from '../random.ts'

/**
 * A position in the event log: what an `id` field carries, and what `Last-Event-ID` brings back.
 *
 * The sequence alone would resume at a wrong place after a restart without memory, a flush, or a failover that lost its tail
 * and used the numbers again. So a cursor also carries a witness: random characters of the log's life and of the very entry.
 * It says where a stream is, never what it may see.
 */
export interface Cursor {
  /** The entry's number in the hub's one sequence; 0 is before the first. */
  readonly seq: number
  /** 8 characters of the log's life and 6 of the entry, of `[0-9a-z]`. Compared, never interpreted. */
  readonly witness: string
}

const EPOCH_LENGTH = 8
const ENTRY_LENGTH = 6

/** Opaque to clients, at most 26 characters of `[0-9a-z.]`, so that it survives the trip back in a header. */
export function formatCursor(cursor: Cursor): string {
  return `${cursor.seq.toString(36)}.${cursor.witness}`
}

const FORMAT = /^(0|[1-9a-z][0-9a-z]{0,10})\.([0-9a-z]{14})$/

/** The cursor in a text from outside, or undefined for anything that the hub cannot have written. Never throws. */
export function parseCursor(text: string): Cursor | undefined {
  if (text.length > 32) return undefined
  const match = FORMAT.exec(text)
  if (match === null) return undefined
  const seq = Number.parseInt(match[1] as string, 36)
  return Number.isSafeInteger(seq) ? { seq, witness: match[2] as string } : undefined
}

/**
 * The id of the last event on a stream that was closed for good. Whoever comes back with it gets `204`, which ends an event
 * source's reconnecting; the id alone says so, so every node knows it without having been told.
 */
export const END_SUFFIX = '.end'

/** Whether a last event ID is of a stream that was closed for good. */
export function isEnded(lastEventId: string): boolean {
  return lastEventId.length <= 32 && lastEventId.endsWith(END_SUFFIX)
}

/** A random name for the life of a log: begins anew whenever the log has no memory of what it was before. */
export function newEpoch(): string {
  return randomText(EPOCH_LENGTH)
}

/** A witness for one entry of a log's life. */
export function newWitness(epoch: string): string {
  return epoch + randomText(ENTRY_LENGTH)
}

/** Whether a witness is of this epoch of a log, whatever its entry. */
export function sameEpoch(witness: string, epoch: string): boolean {
  return witness.startsWith(epoch)
}

/** Whether two cursors are of one epoch of a log. */
export function isSameEpoch(one: Cursor, other: Cursor): boolean {
  return sameEpoch(one.witness, other.witness.slice(0, EPOCH_LENGTH))
}
