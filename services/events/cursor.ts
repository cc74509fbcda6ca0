import { randomText } from '../random.ts'

/**
 * A position in the event log. An `id` field carries it, and `Last-Event-ID` returns it.
 *
 * The sequence number alone would resume at a wrong position after a restart without memory, a flush, or a failover that lost
 * the newest entries and used their numbers again. So a cursor also carries a witness: random characters of the log's epoch
 * and of the entry. It says where a stream is, never which events it may see.
 */
export interface Cursor {
  /** The entry's number in the hub's one sequence; 0 is before the first. */
  readonly seq: number
  /** 8 characters of the log's epoch and 6 of the entry, of `[0-9a-z]`. Compared, never interpreted. */
  readonly witness: string
}

const EPOCH_LENGTH = 8
const ENTRY_LENGTH = 6

/** The cursor as text: opaque to clients, at most 26 characters of `[0-9a-z.]`, which every client can send in a header. */
export function formatCursor(cursor: Cursor): string {
  return `${cursor.seq.toString(36)}.${cursor.witness}`
}

const FORMAT = /^(0|[1-9a-z][0-9a-z]{0,10})\.([0-9a-z]{14})$/

/** The cursor in a text from outside, or undefined for a text that no hub has written. Never throws. */
export function parseCursor(text: string): Cursor | undefined {
  if (text.length > 32) return undefined
  const match = FORMAT.exec(text)
  if (match === null) return undefined
  const seq = Number.parseInt(match[1] as string, 36)
  return Number.isSafeInteger(seq) ? { seq, witness: match[2] as string } : undefined
}

/**
 * The end of the last id on a stream that was closed for good. A client that returns with such an id gets `204`, which ends an
 * event source's reconnecting. The id alone says so, and every node knows it without asking another one.
 */
export const END_SUFFIX = '.end'

/** Whether a last event ID belongs to a stream that was closed for good. */
export function isEnded(lastEventId: string): boolean {
  return lastEventId.length <= 32 && lastEventId.endsWith(END_SUFFIX)
}

/** A random name for an epoch of a log, which begins whenever the log has lost its earlier state. */
export function newEpoch(): string {
  return randomText(EPOCH_LENGTH)
}

/** A witness for one entry in an epoch. */
export function newWitness(epoch: string): string {
  return epoch + randomText(ENTRY_LENGTH)
}

/** Whether a witness belongs to this epoch of a log. */
export function sameEpoch(witness: string, epoch: string): boolean {
  return witness.startsWith(epoch)
}

/** Whether two cursors belong to the same epoch of a log. */
export function isSameEpoch(one: Cursor, other: Cursor): boolean {
  return sameEpoch(one.witness, other.witness.slice(0, EPOCH_LENGTH))
}
