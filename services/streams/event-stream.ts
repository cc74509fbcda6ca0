import type { EventLog, ReadFrom, ReadResult } from '../event-log/event-log.ts'
import { channelsHeard } from '../events/channel.ts'
import { CLOSED_FOR_GOOD, type CloseReason } from '../events/close-reason.ts'
import type { Cursor } from '../events/cursor.ts'
import { finalCloseFrame, GREETING, retryableCloseFrame, type Welcome, welcomeFrame } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import type { Deliverable } from './delivery-queue.ts'
import { OpeningEvents } from './opening-events.ts'
import { frameOf, type PendingEvents } from './pending-events.ts'
import type { Sink, SinkListener } from './sink.ts'
import { type Beginning, StreamPosition } from './stream-position.ts'

/** How many events are read from the log at a time: a page is written in well under a millisecond. */
const PAGE = 128
/** How many are read to see what the newest is. */
const NEWEST_ALONE = 1
/** History is written in pieces of about so many bytes, so that a full socket is noticed. */
const PIECE = 65_536
/** A stream that is owed more than this for one write reads it from the log instead. */
const MAX_PENDING = 524_288
/** How long the last bytes of a stream may take, in milliseconds; longer while shutting down would hold everyone up. */
const END_GRACE = 5_000
const SHUTDOWN_GRACE = 400
const GREETING_BYTES = new WireBytes(GREETING)

/** What a stream needs of its hub. */
export interface StreamHost {
  readonly log: EventLog
  /** The newest event that the log's tail has handed over: a stream that is level has been given all up to it. */
  readonly head: Cursor
  readonly now: number
  flushSoon(stream: EventStream): void
  catchUpSoon(stream: EventStream): void
  /** Reading history failed; the stream will be asked to catch up later, or is closed if it has not been welcomed. */
  onReadError(stream: EventStream, error: unknown): void
  onRead(): void
  /** The sink failed; the stream is closed. */
  onSinkError(stream: EventStream, error: unknown): void
  /** What the stream is told when it opens, or undefined to tell it nothing. */
  welcome(stream: EventStream, resumed: boolean, replayed: number): Welcome | undefined
  /** A jittered reconnection time in milliseconds: for a stream that opens, or for one of many that are cut. */
  reconnectionTime(isClosing: boolean): number
  onBackpressure(stream: EventStream): void
  onClosed(stream: EventStream, reason: CloseReason, reconnect: boolean): void
}

export interface StreamInit {
  readonly id: string
  readonly user: string | null
  readonly address: string
  readonly topics: readonly string[]
  /** Ends after the first final event. */
  readonly follows: boolean
  readonly beginning: Beginning
  readonly since: number
}

/**
 * - `behind`: it has to read the log before it is given anything.
 * - `level`: it has been given everything, and is handed new events as they come.
 * - `full`: it was level when the socket said "full", and nothing has come for it since.
 */
type State = 'replaying' | 'live' | 'backpressured' | 'closed'

/**
 * One open response: a cursor into the log. Replaying, catching up and being live are the same motion; "live" is a replay
 * that has reached the head. A stream keeps no queue: what it cannot be given now it reads from the log later.
 */
export class EventStream implements Deliverable, SinkListener {
  /** What `DELETE /streams/:id` takes, and `hub.welcome` tells. */
  readonly id: string
  /** Who the stream belongs to; null for one that follows a topic without an identity. */
  readonly user: string | null
  readonly address: string
  /** The topics that the stream listens to. */
  readonly topics: readonly string[]
  /** Whether it listens to its topics alone, and ends after the first final event of theirs. */
  readonly follows: boolean
  /** When it was opened, in milliseconds since the epoch. */
  readonly since: number
  /** The same on the clock that never jumps. */
  readonly openedAt: number
  /** When it was last written to, on the clock that never jumps. */
  lastWrite: number
  /** Which slot of the heartbeat's wheel it is in. */
  slot = -1
  /** For how long its socket has been full without letting go of a byte, and what it held then. */
  stalledFor = 0
  unsentBefore = 0

  readonly #host: StreamHost
  readonly #sink: Sink
  #state: State = 'replaying'
  #isBackpressured = false
  #isReading = false
  /** The read on its way was asked before the tail broke: its answer may be of another life of the log. */
  #isOutdated = false
  /** Its first replay has not reached the head yet. */
  #isOpening = true
  #opening: OpeningEvents | undefined
  #isWelcome = false
  #isGreeted = false
  #isQueued = false
  #pending: PendingEvents | undefined
  readonly #position: StreamPosition
  /** What it follows may have ended with the very event that the client came back with. */
  #mayBeOver: boolean
  #abort: AbortController | undefined
  #waiting: (() => void)[] | undefined

  constructor(host: StreamHost, sink: Sink, init: StreamInit) {
    this.id = init.id
    this.user = init.user
    this.address = init.address
    this.topics = init.topics
    this.since = init.since
    this.#host = host
    this.#sink = sink
    this.follows = init.follows
    this.#position = new StreamPosition(init.beginning)
    this.#mayBeOver = init.follows && init.beginning.resumes
    this.openedAt = host.now
    this.lastWrite = this.openedAt
  }

  /** Begins: in this turn of the event loop the client is greeted, or at least sent something, so that its `open` fires. */
  start(): void {
    this.#sink.listen(this)
    this.#catchUpSoon()
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get isBackpressured(): boolean {
    return this.#isBackpressured
  }

  /** Whether a producer of the host's feeds it: then it listens to nothing, and never reads the log. */
  get isFed(): boolean {
    return this.follows && this.topics.length === 0
  }

  /** Whether it would be given a transient event now: it is live, or opening. Any other reads the log, which has none. */
  get takesTransient(): boolean {
    if (this.#state === 'live') return true
    return this.#isOpening && !this.isClosed && (this.#opening?.hasRoom ?? true)
  }

  /** How many bytes wait in the socket. */
  get unsent(): number {
    return this.#sink.unsent()
  }

  /** Aborted when the stream is closed, whatever the reason: for the host's own producers. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.isClosed) this.#abort.abort()
    }
    return this.#abort.signal
  }

  /** Hands over an event that the log's tail has brought; `alone` is that event, shared by all who are owed nothing else. */
  offer(event: LogEvent, alone: PendingEvents): void {
    if (this.#state === 'live') {
      // The log may have shown it already: a tail lags.
      if (event.cursor !== null && event.cursor.seq <= this.#position.reached) return
      if (this.#pending === undefined) {
        this.#pending = alone
        if (!this.#isQueued) {
          this.#isQueued = true
          this.#host.flushSoon(this)
        }
      } else if (!this.#pending.endsWith(event)) this.#owe(event, this.#pending)
    } else if (this.#isOpening && this.#state === 'replaying') {
      this.#opening ??= new OpeningEvents()
      this.#opening.add(event, this.#host.head.seq)
    } else if (this.#state === 'backpressured' && event.cursor !== null) this.#state = 'replaying'
  }

  #owe(event: LogEvent, pending: PendingEvents): void {
    if (this.follows && pending.final) return
    if (pending.size > MAX_PENDING) this.startReplay()
    else this.#pending = pending.and(event)
  }

  /** Forgets what it is owed; it is read from the log again. */
  startReplay(): void {
    if (this.#state === 'closed' || this.isFed) return
    this.#pending = undefined
    this.#state = 'replaying'
    this.#opening?.moveTo(this.#host.head.seq)
    this.#isOutdated = this.#isReading
    this.#catchUpSoon()
  }

  flush(): void {
    this.#isQueued = false
    if (this.#state === 'replaying') this.#catchUpSoon()
    const pending = this.#pending
    if (pending === undefined || this.#state !== 'live') return
    this.#pending = undefined
    const isTaken = this.#write(pending.bytes)
    if (pending.cursor !== undefined) this.#position.given(pending.cursor)
    if (pending.final && this.follows) this.close('finished')
    else if (!isTaken) this.#state = 'backpressured'
  }

  catchUp(): void {
    this.#isQueued = false
    if (this.#pending !== undefined) this.flush()
    if (this.#state !== 'replaying' || this.#isBackpressured || this.#isReading) return
    if (this.isFed) this.#openFed()
    else this.#read(this.#position.from, PAGE)
  }

  #read(from: ReadFrom, limit: number): void {
    this.#isReading = true
    try {
      // Made when they are asked for: an idle stream is thousands of times in memory, and reads nothing.
      const channels = channelsHeard(this.user, this.topics, this.follows)
      const result = this.#host.log.read({ channels, from, limit, isTailed: true, isWanted: () => !this.isClosed })
      if (result instanceof Promise) this.#await(result, limit)
      else this.#taken(result, limit)
    } catch (error) {
      this.#failed(error)
    }
  }

  #await(reading: Promise<ReadResult>, limit: number): void {
    this.#greet()
    reading.then((page) => this.#taken(page, limit)).catch((error: unknown) => this.#failed(error))
  }

  /**
   * Sends the heartbeat: `bytes` carry the id of the hub's head, which only a stream that has been given everything up to it
   * may learn. `bare` carry none, for a stream that knows it already.
   */
  heartbeat(head: Cursor, bytes: WireBytes, bare: WireBytes): void {
    // What it is owed is about to be written, and is as good a sign of life; were it full now, that would be left lying.
    if (this.#state === 'closed' || this.#isBackpressured || !this.#isWelcome || this.#pending !== undefined) return
    // One that follows keeps the id of its own last event, by which its host may know what it was following.
    const isAhead = !this.follows && this.#state === 'live' && this.#position.isAhead(head)
    const isTaken = this.#write(isAhead ? bytes : bare)
    if (isAhead) this.#position.given(head)
    if (!isTaken && this.#state === 'live') this.#settle('backpressured')
  }

  /**
   * Writes an event of the host's own to this stream alone: without id, without history. Fulfilled with true when the stream
   * has taken it and can take more, with false when the stream is closed.
   */
  async send(frame: string): Promise<boolean> {
    // Asked again after each wait: what it is owed, or another who waits, may have filled the socket.
    while (this.#state !== 'live' || this.#pending !== undefined) {
      if (this.isClosed) return false
      if (this.#state === 'live') this.flush()
      else await this.#untilLive()
    }
    if (!this.#write(new WireBytes(frame))) this.#state = 'backpressured'
    await this.#untilLive()
    return !this.isClosed
  }

  async #untilLive(): Promise<void> {
    while (this.#state === 'replaying' || this.#state === 'backpressured') {
      await new Promise<void>((resolve) => {
        this.#waiting ??= []
        this.#waiting.push(resolve)
      })
    }
  }

  /**
   * The one exit. Sends what is owed and a last `hub.close`; see {@link CloseReason}.
   * @param reconnect whether the event source should come back. If not, the last event carries an id that ends it for good.
   */
  close(reason: CloseReason = 'kicked', reconnect = !CLOSED_FOR_GOOD.has(reason)): boolean {
    if (this.#state === 'closed') return false
    const isLive = this.#state === 'live'
    const pending = isLive ? this.#pending : undefined
    this.#pending = undefined
    this.#settle('closed')
    if (reason !== 'client') {
      if (pending?.cursor !== undefined) this.#position.given(pending.cursor)
      const last = reconnect
        ? retryableCloseFrame(
            reason,
            this.#host.reconnectionTime(true),
            this.#isWelcome ? undefined : this.#position.cursor
          )
        : finalCloseFrame(reason, this.#position.cursor)
      const bytes = new WireBytes(pending === undefined ? last : pending.text + last)
      try {
        this.#sink.end(bytes, reason === 'shutdown' ? SHUTDOWN_GRACE : END_GRACE)
      } catch (error) {
        this.#host.onSinkError(this, error)
      }
    }
    this.#opening = undefined
    this.#host.onClosed(this, reason, reconnect)
    this.#abort?.abort()
    return true
  }

  onDrain(): void {
    this.#isBackpressured = false
    this.stalledFor = 0
    if (this.#state === 'backpressured') this.#settle('live')
    else if (this.#state === 'replaying') this.#catchUpSoon()
  }

  onClose(): void {
    this.close('client')
  }

  #failed(error: unknown): void {
    this.#isReading = false
    if (this.isClosed) return
    this.#host.onReadError(this, error)
    if (!this.#isWelcome) this.close('error')
  }

  #taken(page: ReadResult, limit: number): void {
    this.#isReading = false
    this.#host.onRead()
    if (this.isClosed) return
    if (limit === NEWEST_ALONE) this.#takeNewest(page)
    else if (this.#position.beginsAtOpening(page)) this.#catchUpSoon()
    else this.#take(page)
  }

  /** Writes a page of history, and then reads the next, or is level. */
  #take(page: ReadResult): void {
    const isOutdated = this.#isOutdated
    this.#isOutdated = false
    this.#writeOpening(page)
    if (!this.#writePage(page.events)) return
    this.#position.passed(page.next)
    if (isOutdated || page.remaining > 0 || this.#host.head.seq > page.next.seq) {
      if (!this.#isBackpressured) this.#catchUpSoon()
    } else if (this.#mayBeOver && page.events.length === 0) this.#read({ last: 1 }, NEWEST_ALONE)
    else if (this.#endOpening()) this.#settle(this.#isBackpressured ? 'backpressured' : 'live')
  }

  /** Writes the transient events that are left of the opening. Returns false if they have to wait for the socket. */
  #endOpening(): boolean {
    if (this.#opening !== undefined && !this.#opening.isEmpty) {
      if (this.#isBackpressured) return false
      this.#write(new WireBytes(this.#opening.takeBefore(Number.POSITIVE_INFINITY)))
    }
    this.#isOpening = false
    this.#opening = undefined
    return true
  }

  /** A producer has no history: nothing is resumed, and no id tells of a place to come back to. */
  #openFed(): void {
    const text = this.#welcome(false, 0, undefined)
    if (text === '') this.#greet()
    else this.#write(new WireBytes(text))
    this.#isOpening = false
    this.#settle(this.#isBackpressured ? 'backpressured' : 'live')
  }

  /** Ends a stream that has nothing to wait for: its client was given the final event, and was cut before it heard of the end. */
  #takeNewest({ events: [newest] }: ReadResult): void {
    this.#mayBeOver = false
    if (newest?.final && (newest.cursor?.seq ?? 0) <= this.#position.reached) this.close('finished')
    else this.#catchUpSoon()
  }

  /** Writes what comes before the events of a page: the welcome on the first page, and a gap that was not reported yet on any. */
  #writeOpening(page: ReadResult): void {
    const gap = this.#position.gapIn(page)
    let text = ''
    if (!this.#isWelcome) {
      const cursor = this.#position.welcome(page, gap)
      text = this.#welcome(this.#position.resumes && gap === undefined, this.#replayed(page), cursor)
      if (text !== '') this.#position.welcomed(cursor)
    }
    if (gap !== undefined) text += this.#position.reportGap(page, gap)
    if (text !== '') this.#write(new WireBytes(text))
    else this.#greet()
  }

  /** The text of the welcome; empty if there is none. */
  #welcome(resumed: boolean, replayed: number, cursor: Cursor | undefined): string {
    this.#isWelcome = true
    const welcome = this.#host.welcome(this, resumed, replayed)
    return welcome === undefined ? '' : welcomeFrame(welcome, this.#host.reconnectionTime(false), cursor)
  }

  /** How much of what a first page tells of is history: what came since the stream was opened is none. */
  #replayed({ events, remaining }: ReadResult): number {
    if (this.#opening === undefined || this.#opening.logged === 0) return events.length + remaining
    const { first, logged } = this.#opening
    const old = events.filter(({ cursor }) => (cursor?.seq ?? 0) < first).length
    return old + Math.max(0, remaining - (logged - (events.length - old)))
  }

  /** Sends a stream its first bytes, unless it has some. */
  #greet(): void {
    if (!this.#isGreeted) this.#write(GREETING_BYTES)
  }

  /** Writes until the socket is full. Returns false if it did not come to the end of the page. */
  #writePage(events: readonly LogEvent[]): boolean {
    for (let at = 0; at < events.length; ) {
      if (this.#isBackpressured) return false
      let text = ''
      let last: LogEvent | undefined
      while (at < events.length && text.length < PIECE && !(this.follows && last?.final)) {
        last = events[at++] as LogEvent
        if (this.#opening !== undefined) text += this.#opening.takeBefore(last.cursor?.seq ?? 0)
        text += frameOf(last)
      }
      this.#write(new WireBytes(text))
      if (last?.cursor) this.#position.given(last.cursor)
      if (this.follows && last?.final) {
        this.close('finished')
        return false
      }
    }
    return true
  }

  #settle(state: State): void {
    this.#state = state
    if (state !== 'live' && state !== 'closed') return
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) for (const resolve of waiting) resolve()
  }

  #write(bytes: WireBytes): boolean {
    this.#isGreeted = true
    this.lastWrite = this.#host.now
    if (this.#sink.write(bytes)) return true
    if (!this.#isBackpressured && this.#state !== 'closed') {
      this.#isBackpressured = true
      this.stalledFor = 0
      this.#host.onBackpressure(this)
    }
    return false
  }

  #catchUpSoon(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    this.#host.catchUpSoon(this)
  }
}
