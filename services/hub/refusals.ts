/**
 * Why a request or a connection was refused or cut: a closed catalogue, counted in `stats()`. Streams have reasons of their
 * own, see `close-reason.ts`.
 *
 * - `unauthenticated`, `forbidden`, `rateLimited`: answered 401, 403 or 429.
 * - `connections`, `connectionsOfAddress`: more connections than the process, or one address, may have.
 * - `pipelined`: more requests behind an unanswered one than a connection may queue.
 * - `unread`: answers that clients did not read took more memory than they may.
 * - `stalled`: a client read nothing of its answer for `stallTimeout`.
 * - `unresponsive`: an HTTP/2 client did not acknowledge a ping.
 * - `cancelled`: an HTTP/2 client cancelled more streams than it may.
 * - `unfinished`: an HTTP/2 client did not finish the body of a request within `requestTimeout`.
 * - `unknownMethod`: a method that HTTP does not know, which only HTTP/2 lets through.
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

/** How often each happened since the start. */
export type Refused = Record<Refusal, number>

export function noRefusals(): Refused {
  return Object.fromEntries(REFUSALS.map((reason) => [reason, 0])) as Refused
}
