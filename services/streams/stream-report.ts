import type { Cursor } from '../events/cursor.ts'
import type { EventStream } from './event-stream.ts'

/** The delivery of an open stream, for an operator. */
export interface StreamReport {
  readonly state: 'replaying' | 'live' | 'backpressured'
  /** How many events of the log the stream has not written yet: 0 for a stream that keeps up, and at most, while it replays. */
  readonly behind: number
  /** How many bytes wait in its socket. */
  readonly unsent: number
  /** The address of the client: that of its connection, or the one that trusted proxies report. */
  readonly address: string
}

/** An IPv4 address as an IPv6 socket shows it. */
const MAPPED = /^::ffff:(?=\d+\.)/

/** Takes the address from the connection, so that a stream costs no memory for it. */
export function reportOf(stream: EventStream, head: Cursor): StreamReport {
  const { state, unsent, forwardedFor, connection } = stream
  return {
    // A closed stream is in no registry.
    state: state === 'closed' ? 'live' : state,
    behind: stream.behind(head),
    unsent,
    address: (forwardedFor || connection?.remoteAddress || '').replace(MAPPED, '')
  }
}
