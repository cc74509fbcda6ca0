import type { EventLog, ReadFrom, ReadResult } from '../event-log/event-log.ts'
import { channelsHeard } from '../events/channel.ts'
import { CLOSED_FOR_GOOD, type CloseReason } from '../events/close-reason.ts'
import type { Cursor } from '../events/cursor.ts'
import { GREETING, goodbyeFrame, seeYouFrame, type Welcome, welcomeFrame } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import type { Deliverable } from './delivery-queue.ts'
import { OpeningEvents } from './opening-events.ts'
import { frameOf, type OwedEvents } from './pending-events.ts'
import type { Sink, SinkListener } from './sink.ts'
import { type Beginning, StreamPlace } from './stream-position.ts'

/** How many events are read from the log at a time: a page is written in well under a millisecond. */
const PAGE = 128
/** How many are read to see what the newest is. */
const NEWEST_ALONE = 1
/** History is written in pieces of about so many bytes, so that a full socket is noticed. */
const PIECE = 65_536
/** A stream that is owed more than this for one write reads it from the log instead. */
const MAX_OWED = 524_288
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
  onFull(stream: EventStream): void
  onClosed(stream: EventStream, reason: CloseReason): void
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
type State = 'behind' | 'level' | 'full' | 'closed'

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
  #state: State = 'behind'
  #isFull = false
  #isReading = false
  /** The read on its way was asked before the tail broke: its answer may be of another life of the log. */
  #isOutdated = false
  /** Its first replay has not reached the head yet. */
  #isOpening = true
  #opening: OpeningEvents | undefined
  #isWelcome = false
  #isGreeted = false
  #isQueued = false
  #owed: OwedEvents | undefined
  readonly #place: StreamPlace
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
    this.#place = new StreamPlace(init.beginning)
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

  get isFull(): boolean {
    return this.#isFull
  }

  /** Whether a producer of the host's feeds it: then it listens to nothing, and never reads the log. */
  get isFed(): boolean {
    return this.follows && this.topics.length === 0
  }

  /** Whether it would be given a transient event now: it is live, or opening. Any other reads the log, which has none. */
  get takesTransient(): boolean {
    if (this.#state === 'level') return true
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
  offer(event: LogEvent, alone: OwedEvents): void {
    if (this.#state === 'level') {
      // The log may have shown it already: a tail lags.
      if (event.cursor !== null && event.cursor.seq <= this.#place.reached) return
      if (this.#owed === undefined) {
        this.#owed = alone
        if (!this.#isQueued) {
          this.#isQueued = true
          this.#host.flushSoon(this)
        }
      } else if (!this.#owed.endsWith(event)) this.#owe(event, this.#owed)
    } else if (this.#isOpening && this.#state === 'behind') {
      this.#opening ??= new OpeningEvents()
      this.#opening.add(event, this.#host.head.seq)
    } else if (this.#state === 'full' && event.cursor !== null) this.#state = 'behind'
  }

  #owe(event: LogEvent, owed: OwedEvents): void {
    if (this.follows && owed.final) return
    if (owed.size > MAX_OWED) this.fallBehind()
    else this.#owed = owed.and(event)
  }

  /** Forgets what it is owed; it is read from the log again. */
  fallBehind(): void {
    if (this.#state === 'closed' || this.isFed) return
    this.#owed = undefined
    this.#state = 'behind'
    this.#opening?.moveTo(this.#host.head.seq)
    this.#isOutdated = this.#isReading
    this.#catchUpSoon()
  }

  flush(): void {
    this.#isQueued = false
    if (this.#state === 'behind') this.#catchUpSoon()
    const owed = this.#owed
    if (owed === undefined || this.#state !== 'level') return
    this.#owed = undefined
    const isTaken = this.#write(owed.bytes)
    if (owed.cursor !== undefined) this.#place.given(owed.cursor)
    if (owed.final && this.follows) this.close('finished')
    else if (!isTaken) this.#state = 'full'
  }

  catchUp(): void {
    this.#isQueued = false
    if (this.#owed !== undefined) this.flush()
    if (this.#state !== 'behind' || this.#isFull || this.#isReading) return
    if (this.isFed) this.#openFed()
    else this.#read(this.#place.from, PAGE)
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
  beat(head: Cursor, bytes: WireBytes, bare: WireBytes): void {
    // What it is owed is about to be written, and is as good a sign of life; were it full now, that would be left lying.
    if (this.#state === 'closed' || this.#isFull || !this.#isWelcome || this.#owed !== undefined) return
    // One that follows keeps the id of its own last event, by which its host may know what it was following.
    const isNews = !this.follows && this.#state === 'level' && this.#place.isNews(head)
    const isTaken = this.#write(isNews ? bytes : bare)
    if (isNews) this.#place.given(head)
    if (!isTaken && this.#state === 'level') this.#settle('full')
  }

  /**
   * Writes an event of the host's own to this stream alone: without id, without history. Fulfilled with true when the stream
   * has taken it and can take more, with false when the stream is closed.
   */
  async send(frame: string): Promise<boolean> {
    // Asked again after each wait: what it is owed, or another who waits, may have filled the socket.
    while (this.#state !== 'level' || this.#owed !== undefined) {
      if (this.isClosed) return false
      if (this.#state === 'level') this.flush()
      else await this.#untilLevel()
    }
    if (!this.#write(new WireBytes(frame))) this.#state = 'full'
    await this.#untilLevel()
    return !this.isClosed
  }

  async #untilLevel(): Promise<void> {
    while (this.#state === 'behind' || this.#state === 'full') {
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
  close(reason: CloseReason, reconnect = !CLOSED_FOR_GOOD.has(reason)): boolean {
    if (this.#state === 'closed') return false
    const isLevel = this.#state === 'level'
    const owed = isLevel ? this.#owed : undefined
    this.#owed = undefined
    this.#settle('closed')
    if (reason !== 'client') {
      if (owed?.cursor !== undefined) this.#place.given(owed.cursor)
      const last = reconnect
        ? seeYouFrame(reason, this.#host.reconnectionTime(true), this.#isWelcome ? undefined : this.#place.cursor)
        : goodbyeFrame(reason, this.#place.cursor)
      const bytes = new WireBytes(owed === undefined ? last : owed.text + last)
      try {
        this.#sink.end(bytes, reason === 'shutdown' ? SHUTDOWN_GRACE : END_GRACE)
      } catch (error) {
        this.#host.onSinkError(this, error)
      }
    }
    this.#opening = undefined
    this.#host.onClosed(this, reason)
    this.#abort?.abort()
    return true
  }

  onDrain(): void {
    this.#isFull = false
    this.stalledFor = 0
    if (this.#state === 'full') this.#settle('level')
    else if (this.#state === 'behind') this.#catchUpSoon()
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
    else if (this.#place.beginsAtOpening(page)) this.#catchUpSoon()
    else this.#take(page)
  }

  /** Writes a page of history, and then reads the next, or is level. */
  #take(page: ReadResult): void {
    const isOutdated = this.#isOutdated
    this.#isOutdated = false
    if (!this.#writePage(page.events, this.#openingOf(page))) return
    this.#place.passed(page.next)
    if (isOutdated || page.remaining > 0 || this.#host.head.seq > page.next.seq) {
      if (!this.#isFull) this.#catchUpSoon()
    } else if (this.#mayBeOver && page.events.length === 0) this.#read({ last: 1 }, NEWEST_ALONE)
    else if (this.#endOpening()) this.#settle(this.#isFull ? 'full' : 'level')
  }

  /** Writes the transient events that are left of the opening. Returns false if they have to wait for the socket. */
  #endOpening(): boolean {
    if (this.#opening !== undefined && !this.#opening.isEmpty) {
      if (this.#isFull) return false
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
    this.#settle(this.#isFull ? 'full' : 'level')
  }

  /** Ends a stream that has nothing to wait for: its client was given the final event, and was cut before it heard of the end. */
  #takeNewest({ events: [newest] }: ReadResult): void {
    this.#mayBeOver = false
    if (newest?.final && (newest.cursor?.seq ?? 0) <= this.#place.reached) this.close('finished')
    else this.#catchUpSoon()
  }

  /** The text before the events of a page: the welcome on the first page, and a gap that the client does not know on any page. */
  #openingOf(page: ReadResult): string {
    const gap = this.#place.gapIn(page)
    let text = ''
    if (!this.#isWelcome) {
      const cursor = this.#place.welcome(page, gap)
      text = this.#welcome(this.#place.resumes && gap === undefined, this.#replayed(page), cursor)
      if (text !== '') this.#place.welcomed(cursor)
    }
    if (gap !== undefined) text += this.#place.tellGap(page, gap)
    if (text === '') this.#greet()
    return text
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

  /**
   * Writes until the socket is full. Returns false if it did not come to the end of the page. The opening is written even to a
   * full socket, and the first events with it: a gap is followed by an event whose cursor notices the next loss of the log.
   */
  #writePage(events: readonly LogEvent[], opening: string): boolean {
    if (opening !== '' && events.length === 0) this.#write(new WireBytes(opening))
    for (let at = 0; at < events.length; ) {
      if (this.#isFull && (at > 0 || opening === '')) return false
      let text = at === 0 ? opening : ''
      let last: LogEvent | undefined
      while (at < events.length && text.length < PIECE && !(this.follows && last?.final)) {
        last = events[at++] as LogEvent
        if (this.#opening !== undefined) text += this.#opening.takeBefore(last.cursor?.seq ?? 0)
        text += frameOf(last)
      }
      this.#write(new WireBytes(text))
      if (last?.cursor) this.#place.given(last.cursor)
      if (this.follows && last?.final) {
        this.close('finished')
        return false
      }
    }
    return true
  }

  #settle(state: State): void {
    this.#state = state
    if (state !== 'level' && state !== 'closed') return
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) for (const resolve of waiting) resolve()
  }

  #write(bytes: WireBytes): boolean {
    this.#isGreeted = true
    this.lastWrite = this.#host.now
    if (this.#sink.write(bytes)) return true
    if (!this.#isFull && this.#state !== 'closed') {
      this.#isFull = true
      this.stalledFor = 0
      this.#host.onFull(this)
    }
    return false
  }

  #catchUpSoon(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    this.#host.catchUpSoon(this)
  }
}
