import type { ReadFrom, ReadResult } from '../event-log/event-log.ts'
import { type Channel, channelsHeard } from '../events/channel.ts'
import { type CloseReason, endReason } from '../events/close-reason.ts'
import type { Cursor } from '../events/cursor.ts'
import { type Welcome, welcomeFrame } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import { addressedTo } from './excepted-users.ts'
import { type KeptEvent, KeptEvents } from './kept-events.ts'
import { OpeningEvents } from './opening-events.ts'
import { frameOf } from './pending-events.ts'
import type { StreamHost } from './stream-host.ts'
import type { StreamOutput } from './stream-output.ts'
import type { StreamPosition } from './stream-position.ts'
import { TopicStarts } from './topic-starts.ts'

/** How many events are read from the log at a time: a page is written in well under a millisecond. */
const PAGE = 128
/** The page that shows only which event is the newest. */
const NEWEST_ALONE = 1
/** History is written in pieces of about so many bytes, so that backpressure is noticed. */
const PIECE = 65_536

/** The stream that a replay writes to. */
export interface ReplayedStream {
  readonly user: string | null
  readonly topics: readonly string[]
  readonly follows: boolean
  readonly isFed: boolean
  readonly isClosed: boolean
  /** Calls `next` of the replay later, if the stream can take more then. */
  catchUpSoon(): void
  /** The replay has reached the head of the log. */
  onReplayed(): void
  close(reason: CloseReason): boolean
}

/** Reads the log page by page, and writes to one stream: the welcome, reports of gaps, and the events, up to the head. */
export class Replay<Stream extends ReplayedStream> {
  /** The first replay has not reached the head yet. */
  isOpening = true
  /** The welcome was written, or the hub sends none. */
  isWelcome = false
  readonly #host: StreamHost<Stream>
  readonly #stream: Stream
  readonly #output: StreamOutput<Stream>
  readonly #position: StreamPosition
  #opening: OpeningEvents | undefined
  #kept: KeptEvents | undefined
  #starts: TopicStarts | undefined
  #isReading = false
  /** Topics were removed while the log was read. */
  #hasRemoved = false
  /** The current read began before a discontinuity, or a late registration: its page may not reach the head. */
  #isOutdated = false
  /** The followed topic may have ended with the very event that the client's cursor names. */
  #mayHaveEnded: boolean
  /** The number of unread events for the welcome. */
  #unread: number | undefined
  /** The replay has written an event that touches the user's inbox, and may carry a number of unread events from then. */
  #isInboxTouched = false

  constructor(host: StreamHost<Stream>, stream: Stream, output: StreamOutput<Stream>, position: StreamPosition) {
    this.#host = host
    this.#stream = stream
    this.#output = output
    this.#position = position
    this.#mayHaveEnded = stream.follows && position.resumes
  }

  /** Whether a transient event that came now would be written in its turn. */
  get takesTransient(): boolean {
    return this.isOpening && this.hasRoom
  }

  /** Whether another event without a position may wait for its turn. */
  get hasRoom(): boolean {
    return this.#kept?.hasRoom ?? true
  }

  /** Takes an event that the log's tail dispatched while the stream is opening. */
  onEvent(event: LogEvent): void {
    this.#opening ??= new OpeningEvents()
    // The replay counts no event of a topic that was added after the opening as history.
    if (event.cursor !== null && this.#starts !== undefined && !this.#isHeard(event)) return
    if (this.#opening.add(event) && event.cursor === null && this.hasRoom) this.keep({ text: frameOf(event), event })
  }

  #isHeard(event: LogEvent): boolean {
    const channels = this.#channels()
    return event.channels.some((channel) => channels.includes(channel))
  }

  /** Keeps an event until the stream has been sent all events that the log's tail has dispatched. */
  keep(kept: KeptEvent): void {
    this.#kept ??= new KeptEvents()
    this.#kept.add(kept, this.#host.head.seq)
  }

  /** Calls back when the full socket that an event was written to can take more, or the stream closes. */
  onceTaken(onTaken: (isTaken: boolean) => void): void {
    this.#kept ??= new KeptEvents()
    this.#kept.wrote(onTaken)
  }

  /** The socket can take more. */
  onDrain(): void {
    this.#kept?.settle()
  }

  /** Writes all kept events of a stream that was sent every other event. Returns false if the socket is full. */
  writeKept(): boolean {
    if (this.#kept === undefined || this.#kept.isEmpty) return true
    return this.#write(this.#kept.takeBefore(Number.POSITIVE_INFINITY))
  }

  #write(text: string): boolean {
    const isTaken = this.#output.write(new WireBytes(text))
    if (isTaken) this.#kept?.settle()
    return isTaken
  }

  /**
   * The topics have changed, those that were added from `start` on.
   * @param report the text of `hub.topics`, and that without an id.
   */
  onTopics(added: readonly string[], start: Cursor, report: { text: string; bare: string }): void {
    this.#starts ??= new TopicStarts()
    this.#starts.delete(added)
    this.#starts.add(added, start)
    this.#hasRemoved = this.#isReading
    const { user, topics, follows } = this.#stream
    const channels = new Set(channelsHeard(user, topics, follows))
    this.#kept?.retainHeard((event) => event.channels.some((channel) => channels.has(channel)))
    this.keep(report)
  }

  /** Goes on after a discontinuity. */
  restart(): void {
    this.#starts?.restart(this.#host.head)
    this.#opening?.restart()
    this.#kept?.moveTo(this.#host.head.seq)
    this.readAgain()
  }

  /** A read that is on its way does not reach the head. */
  readAgain(): void {
    this.#isOutdated = this.#isReading
  }

  /** The stream is closed. */
  release(): void {
    this.#opening = undefined
    this.#kept?.close()
    this.#kept = undefined
  }

  /** Reads and writes one page, unless a read is on its way. */
  next(): void {
    if (this.#isReading) return
    if (this.#stream.isFed) this.#openFed()
    else this.#read(this.#position.from, PAGE)
  }

  /** A stream that a producer feeds has no history: it resumes nothing, and no id names a position to return to. */
  #openFed(): void {
    const text = this.#welcome(false, 0, undefined)
    if (this.#stream.isClosed) return
    if (text === '') this.#output.greet()
    else this.#output.write(new WireBytes(text))
    if (!this.#output.isBackpressured) this.writeKept()
    this.isOpening = false
    this.#stream.onReplayed()
  }

  #read(from: ReadFrom, limit: number): void {
    this.#isReading = true
    try {
      this.#starts?.reach(this.#position.cursor)
      // Built for each read: a node holds thousands of idle streams, and they read nothing.
      const channels = this.#channels()
      const isWanted = () => !this.#stream.isClosed
      const result = this.#host.log.read({ channels, from, limit, isTailed: true, isWanted })
      const counted = this.#countUnread()
      if (counted !== undefined)
        this.#await(
          Promise.all([result, counted]).then(([page]) => page),
          limit
        )
      else if (result instanceof Promise) this.#await(result, limit)
      else this.#onPage(result, limit)
    } catch (error) {
      this.#onReadFailure(error)
    }
  }

  /** The channels whose events the stream receives at its position. */
  #channels(): Channel[] {
    const { user, topics, follows } = this.#stream
    return channelsHeard(user, this.#starts?.begun(topics) ?? topics, follows)
  }

  /** Counts for the welcome, at the same time as the first page is read; undefined once that is done. */
  #countUnread(): Promise<void> | undefined {
    const { user, follows } = this.#stream
    const { unread } = this.#host
    if (this.isWelcome || user === null || follows || !unread.isInUse) return undefined
    const counted = unread.countFor(this.#stream, user)
    const set = (count: number | undefined) => {
      this.#unread = count
    }
    if (counted instanceof Promise) return counted.then(set)
    set(counted)
    return undefined
  }

  #await(reading: Promise<ReadResult>, limit: number): void {
    this.#output.greet()
    reading.then((page) => this.#onPage(page, limit)).catch((error: unknown) => this.#onReadFailure(error))
  }

  #onReadFailure(error: unknown): void {
    this.#isReading = false
    if (this.#stream.isClosed) return
    this.#host.onReadError(this.#stream, error)
    if (!this.isWelcome) this.#stream.close('error')
  }

  #onPage(page: ReadResult, limit: number): void {
    this.#isReading = false
    this.#host.onRead()
    if (this.#stream.isClosed) return
    if (limit === NEWEST_ALONE) this.#onNewest(page)
    else if (this.#position.beginsAtOpening(page)) this.#stream.catchUpSoon()
    else this.#writePage(page)
  }

  /** Closes a stream whose client was cut after the final event and before the `hub.close`: no event is to come. */
  #onNewest({ events: [newest] }: ReadResult): void {
    this.#mayHaveEnded = false
    if (newest?.final && (newest.cursor?.seq ?? 0) <= this.#position.reached)
      this.#stream.close(endReason(newest.final))
    else this.#stream.catchUpSoon()
  }

  /** Writes a page. Then the replay reads the next page, or has reached the head. */
  #writePage(found: ReadResult): void {
    const read = addressedTo(this.#stream.user, found)
    const isOutdated = this.#isOutdated
    this.#isOutdated = false
    const page = this.#withoutOtherTopics(read)
    this.#writeOpening(page, read)
    // The host's `welcome` function may close the stream.
    if (this.#stream.isClosed || !this.#writeEvents(page.events)) return
    this.#position.skipTo(page.next)
    if (isOutdated || page.remaining > 0 || this.#host.head.seq > page.next.seq) {
      if (!this.#output.isBackpressured) this.#stream.catchUpSoon()
    } else if (this.#mayHaveEnded && page.events.length === 0) this.#read({ last: 1 }, NEWEST_ALONE)
    else if (this.#end()) this.#stream.onReplayed()
  }

  /** The part of a page that is before the next start of a topic, without events of topics removed since the read began. */
  #withoutOtherTopics(read: ReadResult): ReadResult {
    const page = this.#starts?.cut(read) ?? read
    if (!this.#hasRemoved) return page
    this.#hasRemoved = false
    const channels = new Set(this.#channels())
    return { ...page, events: page.events.filter((event) => event.channels.some((channel) => channels.has(channel))) }
  }

  /** Writes the remaining kept events. Returns false if they have to wait for the socket. */
  #end(): boolean {
    if (this.#output.isBackpressured && this.#kept?.isEmpty === false) return false
    this.writeKept()
    this.isOpening = false
    this.#opening = undefined
    this.#starts = undefined
    if (this.#isInboxTouched) this.#host.unread.notifySoon(this.#stream)
    this.#isInboxTouched = false
    return true
  }

  /** Writes the welcome before the first page, and a gap that the client does not know of before any page. */
  #writeOpening(page: ReadResult, read: ReadResult): void {
    const gap = this.#position.gapIn(page)
    let text = ''
    if (!this.isWelcome) {
      const cursor = this.#position.welcome(page, gap)
      const replayed = this.#opening?.historyIn(read) ?? read.events.length + read.remaining
      text = this.#welcome(this.#position.resumes && gap === undefined, replayed, cursor)
      if (text !== '') this.#position.welcomed(cursor)
    }
    if (this.#stream.isClosed) return
    if (gap !== undefined) this.#host.counts.gaps[gap]++
    if (gap !== undefined) text += this.#position.reportGap(page, gap, read.events[0]?.id ?? null)
    if (text !== '') this.#output.write(new WireBytes(text))
    else this.#output.greet()
  }

  /** The text of the welcome; empty if the hub sends none. */
  #welcome(resumed: boolean, replayed: number, cursor: Cursor | undefined): string {
    this.isWelcome = true
    const welcome: Welcome | undefined = this.#host.welcome(this.#stream, resumed, replayed, this.#unread)
    return welcome === undefined ? '' : welcomeFrame(welcome, this.#host.reconnectionTime(false), cursor)
  }

  /** Writes until the socket is backpressured, or the stream ends. Returns false if events of the page remain. */
  #writeEvents(events: readonly LogEvent[]): boolean {
    const { follows, user } = this.#stream
    for (let at = 0; at < events.length; ) {
      if (this.#output.isBackpressured) return false
      let text = ''
      const begun = at
      let last: LogEvent | undefined
      while (at < events.length && text.length < PIECE && !(follows && last?.final)) {
        last = events[at++] as LogEvent
        if (user !== null && this.#host.unread.touches(last, user)) this.#isInboxTouched = true
        if (this.#kept !== undefined) text += this.#kept.takeBefore(last.cursor?.seq ?? 0)
        text += frameOf(last)
      }
      this.#host.counts.replayed += at - begun
      this.#write(text)
      if (last?.cursor) this.#position.sent(last.cursor)
      if (follows && last?.final) {
        this.#stream.close(endReason(last.final))
        return false
      }
    }
    return true
  }
}
