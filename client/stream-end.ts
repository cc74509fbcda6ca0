import type { CloseReason } from '../services/events/close-reason.ts'

/**
 * Why an attempt or a stream ended: a close reason of the hub, or a reason of the client itself.
 *
 * - `network`: the request failed, or the response broke off.
 * - `cut`: the response ended without `hub.close`.
 * - `silent`: nothing came for longer than the heartbeat interval allows, or there was no answer at all.
 * - `refused`: the answer has a status other than 200; `status` and `error` say which.
 * - `content-type`: the answer is not an event stream, as a page of a proxy is not.
 * - `too-large`: an event is larger than `maxFrameLength`.
 * - `auth`: `auth()` failed.
 * - `unauthorized`: 401 also with new credentials, or `auth()` returned null.
 * - `gone`: 204, the stream had ended for good before.
 * - `renewed`: the stream is opened again with new credentials, or for another user.
 * - `reconnect`: `reconnectNow()`, or the device is online again.
 * - `topics`: the stream is opened again with other topics.
 * - `unsupported`: the runtime's fetch does not stream.
 * - `stopped`: `close()`, or the signal.
 */
export type EndReason =
  | CloseReason
  | 'network'
  | 'cut'
  | 'silent'
  | 'refused'
  | 'content-type'
  | 'too-large'
  | 'auth'
  | 'unauthorized'
  | 'gone'
  | 'renewed'
  | 'reconnect'
  | 'topics'
  | 'unsupported'
  | 'stopped'

export interface StreamEnd {
  readonly reason: EndReason
  /** Whether the client does not return. */
  readonly isFinal?: boolean
  /** Whether the next attempt begins at once. */
  readonly isImmediate?: boolean
  readonly error?: StreamError | undefined
  /** The shortest wait that the server asks for, in milliseconds. */
  readonly retryAfter?: number | undefined
}

/** An error that a stream reports. */
export class StreamError extends Error {
  /** An error code of the hub, an {@link EndReason}, or `handler`. */
  declare readonly code: string
  /** The HTTP status, if there was an answer. */
  declare readonly status: number | undefined

  /** @param why a message, or the error that is the cause */
  constructor(code: string, why: unknown = code, status?: number) {
    super(String(why), { cause: why })
    this.name = 'StreamError'
    this.code = code
    this.status = status
  }
}
