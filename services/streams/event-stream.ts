import { CLOSED_FOR_GOOD, type CloseReason, endReason } from '../events/close-reason.ts'
import type { Cursor } from '../events/cursor.ts'
import { type AnyDraft, prepareEvent } from '../events/draft.ts'
import { finalCloseFrame, retryableCloseFrame, topicsFrame } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import { namedTopics } from '../events/topic-names.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import { formatEvent } from '../events/wire-format.ts'
import type { Deliverable } from './delivery-queue.ts'
import type { PendingEvents } from './pending-events.ts'
import { Replay, type ReplayedStream } from './replay.ts'
import type { Sink, SinkListener, TcpConnection } from './sink.ts'
import type { StreamHost, StreamInit } from './stream-host.ts'
import { StreamOutput } from './stream-output.ts'
import { StreamPosition } from './stream-position.ts'
import type { TopicRights } from './topic-rights.ts'

/** A stream with more pending bytes than this reads them from the log instead. */
const MAX_PENDING = 524_288
/** The properties of an event that is sent to one stream: without an id and a history, the others have no meaning. */
const SENT_PROPERTIES = ['data', 'event']
/** How long the last bytes of a stream may take, in milliseconds; longer would delay a shutdown. */
const END_GRACE = 5_000
const SHUTDOWN_GRACE = 400

/**
 * - `replaying`: the stream reads the log before it takes new events.
 * - `live`: the stream has been assigned every event, and takes new ones as they come.
 * - `backpressured`: the stream was live when its socket became full, and no event has come for it since.
 */
type State = 'replaying' | 'live' | 'backpressured' | 'closed'

/**
 * One open response: a cursor into the log. Live delivery is a replay that has reached the head. A stream keeps no queue: an
 * event that it cannot write now it reads from the log later.
 */
export class EventStream implements Deliverable, ReplayedStream, SinkListener {
  /** The id that `DELETE /streams/:id` takes and `hub.welcome` names. */
  readonly id: string
  /** The user that the stream belongs to; null for a stream that follows a topic without an identity. */
  readonly user: string | null
  /** The network of the client, where streams are limited by it; else empty. */
  readonly address: string
  /** The address of the client as trusted proxies report it; empty without them. */
  readonly forwardedFor: string
  /** The topics that the stream listens to. */
  topics: readonly string[]
  /** Whether the stream listens to its topics alone, and ends after their first final event. */
  readonly follows: boolean
  /** When the stream was opened, in milliseconds since the epoch. */
  readonly since: number
  /** When the identity expires, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  /** When the stream was opened, on the monotonic clock. */
  readonly openedAt: number
  /** The topics that its client requested; undefined if the client may request none. */
  rights: TopicRights | undefined
  /** The stream's slot in the heartbeat wheel. */
  slot = -1

  readonly #host: StreamHost<EventStream>
  readonly #output: StreamOutput<EventStream>
  readonly #position: StreamPosition
  readonly #replay: Replay<EventStream>
  #state: State = 'replaying'
  #isQueued = false
  #hasMissedNotice = false
  #pending: PendingEvents | undefined
  #abort: AbortController | undefined

  constructor(host: StreamHost<EventStream>, sink: Sink, init: StreamInit) {
    this.id = init.id
    this.user = init.user
    this.address = init.address
    this.forwardedFor = init.forwardedFor ?? ''
    this.topics = init.topics
    this.since = init.since
    this.expiresAt = init.expiresAt
    this.rights = init.rights
    this.follows = init.follows
    this.openedAt = host.now
    this.#host = host
    this.#output = new StreamOutput<EventStream>(host, this, sink)
    this.#position = new StreamPosition(init.beginning)
    this.#replay = new Replay<EventStream>(host, this, this.#output, this.#position)
  }

  /** Begins. The client receives the welcome or a greeting in this turn of the event loop, so that its `open` fires. */
  start(): void {
    this.#output.listen(this)
    this.catchUpSoon()
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get isBackpressured(): boolean {
    return this.#output.isBackpressured
  }

  get state(): State {
    return this.#state
  }

  /** Whether events are about to be written. */
  get isPending(): boolean {
    return this.#pending !== undefined
  }

  /** How many events of the log, up to this head, the stream has not been assigned or not written; at most, while it replays. */
  behind(head: Cursor): number {
    if (this.#state === 'replaying' && !this.isFed) return Math.max(0, head.seq - this.#position.reached)
    return this.#pending?.count ?? 0
  }

  /** Whether a producer of the host feeds the stream: then it listens to no channel, and never reads the log. */
  get isFed(): boolean {
    return this.follows && this.topics.length === 0
  }

  /** Whether a transient event that came now would be delivered: only live and opening streams take one. */
  get takesTransient(): boolean {
    return this.#state === 'live' || (this.#replay.takesTransient && !this.isClosed)
  }

  /** How many bytes wait in the socket. */
  get unsent(): number {
    return this.#output.unsent
  }

  /** The connection of the client. */
  get connection(): TcpConnection | undefined {
    return this.#output.connection
  }

  /** The monotonic time of the last write, in milliseconds. */
  get lastWrite(): number {
    return this.#output.lastWrite
  }

  /** Aborted when the stream closes, for any reason. Producers of the host use it. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.isClosed) this.#abort.abort()
    }
    return this.#abort.signal
  }

  /** For how many milliseconds the client has taken nothing, `elapsed` of them since the last call. */
  measureStall(elapsed: number): number {
    return this.#output.measureStall(elapsed)
  }

  /** Takes an event that the log's tail dispatched. `alone` is that event, shared by all streams with no other one pending. */
  offer(event: LogEvent, alone: PendingEvents): void {
    if (this.#state === 'live') {
      // The tail lags behind reads, so a read may have returned the event already.
      if (event.cursor !== null && event.cursor.seq <= this.#position.reached) return
      if (this.#pending === undefined) {
        this.#pending = alone
        if (!this.#isQueued) {
          this.#isQueued = true
          this.#host.flushSoon(this)
        }
      } else if (!this.#pending.endsWith(event)) this.#addPending(alone, this.#pending)
    } else if (this.#replay.isOpening && this.#state === 'replaying') this.#replay.onEvent(event)
    else if (this.#state === 'backpressured' && event.cursor !== null) this.#state = 'replaying'
  }

  #addPending(alone: PendingEvents, pending: PendingEvents): void {
    if (this.follows && pending.final) return
    if (pending.size > MAX_PENDING) this.startReplay()
    else this.#pending = pending.and(alone)
  }

  /** Drops the pending events and reads them from the log again. */
  startReplay(): void {
    if (this.#state === 'closed' || this.isFed) return
    this.#pending = undefined
    this.#state = 'replaying'
    this.catchUpSoon()
  }

  /** Events may be missing that came before the interest in them was registered. */
  readAgain(): void {
    if (this.#state === 'closed' || this.isFed) return
    this.#replay.readAgain()
    this.startReplay()
  }

  /** The tail has lost events, and the log may have lost or replaced some. */
  onDiscontinuity(): void {
    if (this.#state !== 'closed' && !this.isFed) this.#replay.restart()
    this.startReplay()
  }

  flush(now: number): void {
    this.#isQueued = false
    if (this.#state === 'replaying') this.catchUpSoon()
    const pending = this.#pending
    if (pending === undefined || this.#state !== 'live') return
    this.#pending = undefined
    this.#host.counts.delivered += pending.count
    const isTaken = this.#output.write(pending.bytes, now)
    if (pending.cursor !== undefined) this.#position.sent(pending.cursor)
    if (pending.final && this.follows) this.close(endReason(pending.final))
    else if (!isTaken) this.#state = 'backpressured'
  }

  catchUp(): void {
    this.#isQueued = false
    if (this.#pending !== undefined) this.flush(this.#host.now)
    if (this.#state === 'replaying' && !this.isBackpressured) this.#replay.next()
  }

  /** Puts the stream into the delivery queue, which calls `catchUp`. */
  catchUpSoon(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    this.#host.catchUpSoon(this)
  }

  onReplayed(): void {
    if (this.isBackpressured) this.#state = 'backpressured'
    else this.#goLive()
  }

  /**
   * Sends a heartbeat: `bytes` with the id of the head, which only a stream that has been assigned every event up to it may
   * send, or else `bare` without an id.
   */
  heartbeat(head: Cursor, bytes: WireBytes, bare: WireBytes): void {
    // Pending events are about to be written and show life as well; a heartbeat that fills the socket would strand them.
    if (this.#state === 'closed' || this.isBackpressured || !this.#replay.isWelcome || this.#pending !== undefined)
      return
    // A stream that follows keeps the id of its own last event, by which its host may recognise what it followed.
    const isAhead = !this.follows && this.#state === 'live' && this.#position.isAhead(head)
    const isTaken = this.#output.write(isAhead ? bytes : bare)
    if (isAhead) this.#position.sent(head)
    if (!isTaken && this.#state === 'live') this.#state = 'backpressured'
  }

  subscribe(topics: string | readonly string[]): Promise<boolean> {
    return this.#changeTopics(topics, (named, current) => [...current, ...named])
  }

  unsubscribe(topics: string | readonly string[]): Promise<boolean> {
    return this.#changeTopics(topics, (named, current) => current.filter((topic) => !named.includes(topic)))
  }

  async #changeTopics(
    topics: string | readonly string[],
    update: (named: readonly string[], current: readonly string[]) => readonly string[]
  ): Promise<boolean> {
    const named = namedTopics(topics)
    return this.#host.changeTopics(this, (current) => update(named, current))
  }

  /** The stream listens to these topics now, and to the added ones from the host's head on. Reports it to the client. */
  setTopics(topics: readonly string[], added: readonly string[]): void {
    this.topics = topics
    // Events that were assigned before the change precede its report.
    if (this.#pending !== undefined) this.flush(this.#host.now)
    if (this.isClosed) return
    const start = this.#position.newest(this.#host.head)
    const isKnown = start.witness !== ''
    const report = { text: topicsFrame(topics, isKnown ? start : undefined), bare: topicsFrame(topics, undefined) }
    if (this.#state === 'replaying') {
      this.#replay.onTopics(added, start, report)
      return
    }
    // The stream was assigned all events up to the head, so a later read begins there.
    this.#position.skipTo(start)
    if (this.#state === 'backpressured') this.#replay.keep(report)
    else {
      this.#position.sent(start)
      if (!this.#output.write(new WireBytes(report.text))) this.#state = 'backpressured'
    }
  }

  /** Sends an event to this stream alone; see `Stream.send`. */
  async send(draft: AnyDraft): Promise<boolean> {
    const { event, data } = prepareEvent(draft, this.#host.maxEventBytes, SENT_PROPERTIES)
    return this.write(formatEvent({ event, data }))
  }

  /**
   * Writes an event that is for this stream alone, after all events that the stream has been assigned. Resolves with true once
   * the socket has taken it and can take more, and with false when the stream is closed before that.
   */
  write(frame: string): boolean | Promise<boolean> {
    // Pending events come first; they may fill the socket, or end the stream.
    if (this.#pending !== undefined) this.flush(this.#host.now)
    if (this.#state === 'live') {
      if (this.#output.write(new WireBytes(frame))) return true
      this.#state = 'backpressured'
      return new Promise((resolve) => this.#replay.onceTaken(resolve))
    }
    if (!this.isClosed && !this.#replay.hasRoom) this.close('slow')
    if (this.isClosed) return false
    return new Promise((resolve) => this.#replay.keep({ text: frame, onTaken: resolve }))
  }

  /** Writes a notice after all pending events. A stream that is not live asks for a new one once it is. */
  notify(bytes: WireBytes): void {
    if (this.#pending !== undefined) this.flush(this.#host.now)
    if (this.#state !== 'live') this.#hasMissedNotice = !this.isClosed
    else if (!this.#output.write(bytes)) this.#state = 'backpressured'
  }

  #goLive(): void {
    this.#state = 'live'
    if (!this.#hasMissedNotice) return
    this.#hasMissedNotice = false
    this.#host.unread.notifySoon(this)
  }

  /**
   * The one exit. Sends the pending events and a last `hub.close`; see {@link CloseReason}.
   * @param reconnect whether the event source should come back. If not, the last event carries an id that ends it for good.
   */
  close(reason: CloseReason = 'kicked', reconnect = !CLOSED_FOR_GOOD.has(reason)): boolean {
    if (this.#state === 'closed') return false
    const pending = this.#state === 'live' ? this.#pending : undefined
    this.#pending = undefined
    this.#state = 'closed'
    if (reason !== 'client') {
      if (pending?.cursor !== undefined) this.#position.sent(pending.cursor)
      this.#host.counts.delivered += pending?.count ?? 0
      const last = this.#closeFrame(reason, reconnect)
      const text = pending === undefined ? last : pending.text + last
      this.#output.end(text, reason === 'shutdown' ? SHUTDOWN_GRACE : END_GRACE)
    }
    this.#replay.release()
    this.#host.onClosed(this, reason, reconnect)
    this.#abort?.abort()
    return true
  }

  #closeFrame(reason: CloseReason, reconnect: boolean): string {
    const { cursor } = this.#position
    if (!reconnect) return finalCloseFrame(reason, cursor)
    const wait = this.#host.reconnectionTime(true)
    return retryableCloseFrame(reason, wait, this.#replay.isWelcome ? undefined : cursor)
  }

  onDrain(): void {
    this.#output.onDrain()
    this.#replay.onDrain()
    if (this.#state === 'backpressured') {
      if (this.#replay.writeKept()) this.#goLive()
    } else if (this.#state === 'replaying') this.catchUpSoon()
  }

  onClose(): void {
    this.close('client')
  }
}
