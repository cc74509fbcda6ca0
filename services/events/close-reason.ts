/**
 * Why a stream ended: a closed catalogue, counted in `stats()`.
 *
 * - `client`: the event source disconnected.
 * - `slow`: the client took nothing for `stallTimeout`.
 * - `replaced`: the user opened more streams than allowed, and this was the oldest.
 * - `limit`: refused, because there are too many streams already.
 * - `expired`: the identity of the stream reached its `expiresAt`, or the stream its maximum age.
 * - `kicked`: closed by `disconnect()`, `close()` or the HTTP API.
 * - `finished`: the followed topic or the producer ended.
 * - `failed`: the followed topic ended with a failure, which its last event describes.
 * - `shutdown`: the hub is closing.
 * - `error`: the log, the host's own producer or the socket failed.
 */
export const CLOSE_REASONS = [
  'client',
  'slow',
  'replaced',
  'limit',
  'expired',
  'kicked',
  'finished',
  'failed',
  'shutdown',
  'error'
] as const

export type CloseReason = (typeof CLOSE_REASONS)[number]

/** The reason for which a stream ends after the final event of the topic that it follows. */
export function endReason(final: true | 'failed'): CloseReason {
  return final === 'failed' ? 'failed' : 'finished'
}

/** The reasons after which the event source should not come back by default. After all others it should. */
export const CLOSED_FOR_GOOD: ReadonlySet<CloseReason> = new Set(['kicked', 'finished', 'failed', 'replaced'])
