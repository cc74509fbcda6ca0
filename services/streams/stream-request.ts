import { type Cursor, parseCursor } from '../events/cursor.ts'
import type { Beginning } from './stream-position.ts'

/** How many of the newest events a stream may begin with: to find out which they are costs the log something for each. */
export const MAX_LAST = 1_000

/** Who a stream is for, what it listens to, and where it begins. */
export interface StreamRequest {
  /** The user that the stream belongs to and whose events it gets; null for a stream that only follows a topic. */
  readonly user: string | null
  readonly topics?: readonly string[] | undefined
  /** Listens to its topics alone, and ends after the first event of theirs that is final. */
  readonly follows?: boolean | undefined
  /** When the identity lapses, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined
  /** What the client brought back, if anything: it decides where the stream begins, whatever `from` and `last` say. */
  readonly lastEventId?: string | undefined
  /** Begins with the oldest event that is held for the stream. */
  readonly from?: 'oldest' | undefined
  /** Begins with the newest so many events that are held for the stream, 1 to 1,000. */
  readonly last?: number | undefined
  /** The network address of the client; empty if there is none. */
  readonly address?: string | undefined
  /** @internal Under which it was counted in on the other nodes already. */
  readonly id?: string | undefined
}

/** Where a stream begins that has no place in the log. */
export const NO_HISTORY: Beginning = { from: 'head', opened: undefined, resumes: false, isUnknown: false }

/** @param opened the hub's head, if it is known. */
export function beginning({ lastEventId, from, last }: StreamRequest, opened: Cursor | undefined): Beginning {
  if (lastEventId !== undefined && lastEventId !== '') {
    const cursor = parseCursor(lastEventId)
    return { from: cursor ?? 'oldest', opened, resumes: cursor !== undefined, isUnknown: cursor === undefined }
  }
  // Now is when the stream is opened, not when the log is first read for it: what comes in between is owed.
  const start = from ?? (last === undefined ? (opened ?? 'head') : { last })
  return { from: start, opened, resumes: false, isUnknown: false }
}
