import type { CloseReason } from '../events/close-reason.ts'

/** An event that is sent to one stream; `event` is `message` if left out. */
export interface StreamDraft {
  readonly event?: string | undefined
  readonly data: unknown
}

/** An open event stream, as host code sees it: what `connect()` resolves with, and what the hub's events carry. */
export interface Stream {
  /** The id that `DELETE /streams/:id` and `disconnect({ stream })` take; `hub.welcome` carries it. */
  readonly id: string
  /** The user that the stream belongs to; null for one that follows a topic, or has a producer, without a user. */
  readonly user: string | null
  /** The topics that the stream listens to. */
  readonly topics: readonly string[]
  /** When it was opened, in milliseconds since the Unix epoch. */
  readonly since: number
  /** Aborts when the stream closes for any reason: stops work that is done for this stream alone. */
  readonly signal: AbortSignal
  readonly isClosed: boolean
  /**
   * Listens to further topics, from now on: events that were published before the call are not delivered, and all that are
   * published after the promise is fulfilled are, in order and once. The client gets `hub.topics` before the first of them.
   * @returns false if the stream is closed before.
   * @throws {TooManyTopicsError | LogUnavailableError | TopicsFixedError} and then nothing has changed. The topics of a stream
   * that follows a topic, or that a producer feeds, do not change.
   */
  subscribe(topics: string | readonly string[]): Promise<boolean>
  /**
   * Stops listening to topics: nothing that is for them alone is sent once the promise is fulfilled, not even events of before
   * that a slow stream has not been sent yet. The client gets `hub.topics`.
   * @returns false if the stream is closed before.
   * @throws {TopicsFixedError}
   */
  unsubscribe(topics: string | readonly string[]): Promise<boolean>
  /**
   * Sends an event to this stream alone, without an id and without history, after all events that the stream has been
   * assigned. A replaying or backpressured stream keeps up to 128 KiB of such events; one more closes it (`slow`), and its
   * client may reconnect.
   * @returns true once the socket has taken the event and can take more; false if the stream is closed before that.
   * @throws the error of an invalid event, as `Hub.send` does; any property but `event` and `data` is an error.
   */
  send(draft: StreamDraft): Promise<boolean>
  /**
   * Sends the pending events and a last `hub.close`, and ends the response.
   * @param reason the reason that the client and `stats()` report. Default `kicked`.
   * @param reconnect whether the event source should come back. Default: as the reason says, which for `kicked` is no.
   * @returns false if the stream is closed already.
   */
  close(reason?: Exclude<CloseReason, 'client'>, reconnect?: boolean): boolean
}
