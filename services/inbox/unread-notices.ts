import type { Clock } from '../clock.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { unreadFrame } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import type { Logger } from '../logger.ts'
import { usersTouched } from './inbox-changes.ts'
import { countUnread } from './unread.ts'

/** How long to wait after a failed count, in milliseconds. */
const RETRY = 1_000

/** A stream whose client shows the number of unread events. */
export interface NotifiedStream {
  readonly user: string | null
  readonly follows: boolean
  readonly isClosed: boolean
  /** Writes after all pending events. A stream that is not live calls `notifySoon` once it is. */
  notify(bytes: WireBytes): void
}

export interface UnreadNoticesParts<Stream> {
  readonly log: EventLog
  readonly clock: Clock
  readonly logger: Logger
  /** The streams of a user on this node. */
  readonly streamsOf: (user: string) => Iterable<Stream>
}

/**
 * Sends `hub.unread` to the streams of a user after events that touch the user's inbox. The log counts, once per user and turn
 * of the event loop, so that clients need no arithmetic. A stream that is not live gets the newest number once it is.
 */
export class UnreadNotices<Stream extends NotifiedStream> {
  readonly #parts: UnreadNoticesParts<Stream>
  #due = new Set<Stream>()
  /** Streams whose count has failed. */
  readonly #failed = new Set<Stream>()
  /** Users whose events are being counted: one count at a time keeps their order. */
  readonly #counting = new Set<string>()
  #hasSeenInbox = false
  #isScheduled = false
  #stopRetrying: (() => void) | undefined

  constructor(parts: UnreadNoticesParts<Stream>) {
    this.#parts = parts
  }

  /** Whether any inbox is in use: then a welcome carries the count. */
  get isInUse(): boolean {
    return this.#hasSeenInbox || this.#parts.log.stats().hasInboxes
  }

  /**
   * Counts for a welcome. After a failure, which is logged, it yields undefined, and the stream gets the number later.
   */
  countFor(stream: Stream, user: string): number | undefined | Promise<number | undefined> {
    try {
      const unread = countUnread(this.#parts.log, user)
      return unread instanceof Promise ? unread.catch((error: unknown) => this.#onFailure([stream], error)) : unread
    } catch (error) {
      return this.#onFailure([stream], error)
    }
  }

  /** Whether an event touches the inbox of a user. */
  touches(event: LogEvent, user: string): boolean {
    return usersTouched(event).includes(user)
  }

  /** Takes an event that the log's tail has dispatched to the streams. */
  onEvent(event: LogEvent): void {
    for (const user of usersTouched(event)) {
      this.#hasSeenInbox = true
      for (const stream of this.#parts.streamsOf(user)) this.notifySoon(stream)
    }
  }

  /** The stream gets the number after its pending events. */
  notifySoon(stream: Stream): void {
    if (stream.isClosed || stream.follows) return
    this.#due.add(stream)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#run()
    })
  }

  #run(): void {
    const byUser = new Map<string, Stream[]>()
    for (const stream of this.#due) {
      const user = stream.user ?? ''
      if (this.#counting.has(user)) continue
      this.#due.delete(stream)
      if (stream.isClosed) continue
      const streams = byUser.get(user)
      if (streams === undefined) byUser.set(user, [stream])
      else streams.push(stream)
    }
    for (const [user, streams] of byUser) void this.#notify(user, streams)
  }

  /** Never rejects. */
  async #notify(user: string, streams: readonly Stream[]): Promise<void> {
    this.#counting.add(user)
    try {
      const bytes = new WireBytes(unreadFrame(await countUnread(this.#parts.log, user)))
      for (const stream of streams) stream.notify(bytes)
    } catch (error) {
      this.#onFailure(streams, error)
    }
    this.#counting.delete(user)
    if (this.#due.size > 0) this.#schedule()
  }

  #onFailure(streams: readonly Stream[], error: unknown): undefined {
    const open = streams.filter(({ isClosed }) => !isClosed)
    for (const stream of open) this.#failed.add(stream)
    if (open.length === 0 || this.#stopRetrying !== undefined) return
    const { clock, logger } = this.#parts
    logger.error({ err: error }, 'unread events could not be counted; the hub tries again')
    this.#stopRetrying = clock.every(RETRY, () => this.#retry())
  }

  #retry(): void {
    if (this.#failed.size === 0) {
      this.#stopRetrying?.()
      this.#stopRetrying = undefined
      return
    }
    const failed = [...this.#failed]
    this.#failed.clear()
    for (const stream of failed) this.notifySoon(stream)
  }
}
