import type { Clock } from './clock.ts'
import type { CursorStorage } from './cursor-storage.ts'
import type { Frame } from './frame-reader.ts'
import type { RequestOptions } from './requests.ts'

export interface StreamOptions extends RequestOptions {
  /**
   * Topics that the stream listens to, beside those of the URL and of the identity.
   * @default []
   */
  readonly topics?: readonly string[] | undefined
  /**
   * Where the stream begins, for example the cursor with which a page was rendered.
   * @default undefined: after the kept cursor, if there is one, or at the stream's opening
   */
  readonly lastEventId?: string | undefined
  /**
   * Keeps the cursor over a reload of the page, which then receives what it missed: in `sessionStorage`, or in a storage with
   * the same methods.
   * @default undefined: a reload begins at the stream's opening
   */
  readonly persist?: 'session' | CursorStorage | undefined
  /**
   * A name of the user for the key of the kept cursor, where the page knows it. The client never resumes after the cursor of
   * another user, with or without the name.
   */
  readonly user?: string | undefined
  /** Closes the stream when it is aborted. */
  readonly signal?: AbortSignal | undefined
  /** Receives every frame before it is handled, also heartbeats. */
  readonly debug?: ((frame: Frame) => void) | undefined
  /**
   * Turns the text of an event into its `data`, when a handler first reads it.
   * @default JSON, or the text where it is not JSON
   */
  readonly parse?: ((text: string, name: string) => unknown) | undefined
  /**
   * The longest silence, in milliseconds, before the hub has named its heartbeat interval, and of a request without an answer.
   * @default 60_000
   */
  readonly silenceTimeout?: number | undefined
  /**
   * The largest frame, in characters.
   * @default 16_777_216
   */
  readonly maxFrameLength?: number | undefined
  /** The source of time; for tests. */
  readonly clock?: Clock | undefined
  /**
   * The source of randomness; for tests.
   * @default Math.random
   */
  readonly random?: (() => number) | undefined
}
