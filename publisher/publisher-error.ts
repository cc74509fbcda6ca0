/**
 * Why an event was not published.
 *
 * - an error code of the hub, such as `SSE_HUB_ERR_EVENT_TOO_LARGE`.
 * - `QUEUE_FULL`: too many events wait.
 * - `NETWORK`: the hub could not be reached, or did not answer in time. The event may have been published.
 * - `HTTP`: an answer that is not the hub's, of a proxy for example.
 * - `CLOSED`: the publisher was closed.
 */
export class PublisherError extends Error {
  readonly code: string
  /** The HTTP status, if there was an answer. */
  readonly status: number | undefined

  constructor(code: string, message: string, { status, cause }: { status?: number; cause?: unknown } = {}) {
    super(message, { cause })
    this.name = 'PublisherError'
    this.code = code
    this.status = status
  }
}
