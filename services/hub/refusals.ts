/**
 * Reasons for which a request or a connection is refused or cut: a closed catalogue, counted in `stats()`. Streams have their
 * own reasons, see `close-reason.ts`.
 *
 * - `unauthenticated`, `forbidden`, `rateLimited`: answered 401, 403 or 429.
 * - `connections`, `connectionsOfAddress`: the process, or one address, has its maximum of connections.
 * - `pipelined`: a connection queued more requests behind an unanswered one than it may.
 * - `unread`: responses that clients did not read took more memory than they may.
 * - `stalled`: a client read nothing of its response for `stallTimeout`.
 * - `unresponsive`: an HTTP/2 client did not acknowledge a ping.
 * - `cancelled`: an HTTP/2 client cancelled more streams than it may.
 * - `unfinished`: an HTTP/2 client did not finish the body of a request within `requestTimeout`.
 * - `unknownMethod`: a method that HTTP does not define; only HTTP/2 lets such requests through.
 */
export const REFUSALS = [
  'unauthenticated',
  'forbidden',
  'rateLimited',
  'connections',
  'connectionsOfAddress',
  'pipelined',
  'unread',
  'stalled',
  'unresponsive',
  'cancelled',
  'unfinished',
  'unknownMethod'
] as const

export type Refusal = (typeof REFUSALS)[number]

/** Count of each reason since the start. */
export type Refused = Record<Refusal, number>

export function noRefusals(): Refused {
  return Object.fromEntries(REFUSALS.map((reason) => [reason, 0])) as Refused
}
