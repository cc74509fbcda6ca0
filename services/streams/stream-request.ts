import { type Cursor, parseCursor } from '../events/cursor.ts'
import type { Beginning } from './stream-position.ts'
import type { TopicRights } from './topic-rights.ts'

/** How many of the newest events a stream may begin with: the log pays to find each of them. */
export const MAX_LAST = 1_000

/** A request for a stream: its user, the channels that it listens to, and where it begins. */
export interface StreamRequest {
  /** The user that the stream belongs to, and whose events it receives; null for a stream that only follows a topic. */
  readonly user: string | null
  readonly topics?: readonly string[] | undefined
  /** The stream listens to its topics alone, and ends after their first final event. */
  readonly follows?: boolean | undefined
  /** When the identity expires, in milliseconds since the Unix epoch. */
  readonly expiresAt?: number | undefined
  /** The client's last event ID. If there is one, the stream resumes after it, and `from` and `last` have no effect. */
  readonly lastEventId?: string | undefined
  /** The stream begins with the oldest event that is retained for it. */
  readonly from?: 'oldest' | undefined
  /** The stream begins with this number of the newest events that are retained for it, 1 to 1,000. */
  readonly last?: number | undefined
  /** The network address of the client; empty if it is unknown. */
  readonly address?: string | undefined
  /** The address of the client as trusted proxies report it; empty without them. */
  readonly forwardedFor?: string | undefined
  /** @internal The topics among them that the client has requested. */
  readonly rights?: TopicRights | undefined
  /** @internal The id of its reservation on the other nodes. */
  readonly id?: string | undefined
}

/** The beginning of a stream that has no position in the log. */
export const NO_HISTORY: Beginning = { from: 'head', opened: undefined, resumes: false, isUnknown: false }

/** @param opened the hub's head, if it is known. */
export function beginning({ lastEventId, from, last }: StreamRequest, opened: Cursor | undefined): Beginning {
  if (lastEventId !== undefined && lastEventId !== '') {
    const cursor = parseCursor(lastEventId)
    return { from: cursor ?? 'oldest', opened, resumes: cursor !== undefined, isUnknown: cursor === undefined }
  }
  // The stream begins at its opening, and not at the first read of the log: events in between are pending.
  const start = from ?? (last === undefined ? (opened ?? 'head') : { last })
  return { from: start, opened, resumes: false, isUnknown: false }
}
