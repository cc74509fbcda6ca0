/**
 * Why a stream ended: a closed catalogue, counted in `stats()`.
 *
 * - `client`: the event source went away.
 * - `slow`: it took nothing for `stallTimeout`.
 * - `replaced`: the same user opened more streams than allowed, and this was the oldest.
 * - `limit`: refused, because there are too many streams already.
 * - `expired`: the identity it was opened with came to its `expiresAt`.
 * - `kicked`: closed by `close()` or by the HTTP API.
 * - `finished`: what it followed came to its end.
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
  'shutdown',
  'error'
] as const

export type CloseReason = (typeof CLOSE_REASONS)[number]

/** After these the event source should not come back; unless it is told otherwise, after all others it should. */
export const CLOSED_FOR_GOOD: ReadonlySet<CloseReason> = new Set(['kicked', 'finished', 'replaced'])
