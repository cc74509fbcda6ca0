import type { Cluster, StreamEntry } from '../cluster/cluster.ts'
import { InvalidDraftError, InvalidRequestError, TooManyTopicsError, UnauthenticatedError } from '../errors.ts'
import type { EventLog, Tail, TailListener } from '../event-log/event-log.ts'
import { topicChannel, userChannel } from '../events/channel.ts'
import { CLOSE_REASONS, type CloseReason } from '../events/close-reason.ts'
import type { Cursor } from '../events/cursor.ts'
import { heartbeatFrame, retryableCloseFrame, type Welcome } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import { MAX_RECONNECTION_TIME } from '../events/wire-format.ts'
import type { Logger } from '../logger.ts'
import { randomText } from '../random.ts'
import { describe } from '../text.ts'
import { DeliveryQueue } from './delivery-queue.ts'
import { EventStream, type StreamHost } from './event-stream.ts'
import { Expiries } from './expiries.ts'
import { HeartbeatWheel } from './heartbeat-wheel.ts'
import { OpeningRate } from './opening-rate.ts'
import { PendingEvents } from './pending-events.ts'
import { ReadFailures } from './read-failures.ts'
import type { Sink } from './sink.ts'
import { StreamRegistry } from './stream-registry.ts'
import { beginning, MAX_LAST, NO_HISTORY, type StreamRequest } from './stream-request.ts'
import type { StreamSettings } from './stream-settings.ts'

/**
 * How many streams were closed for each reason. `cut` are those that were closed by `disconnect()` with `reconnect: true`, and
 * `kicked` those that it closed for good.
 */
export type Closed = Record<CloseReason | 'cut', number>

/** Why a stream is rejected before it is opened, in a way that lets its event source come back. */
export type StreamRejection = 'limit' | 'shutdown' | 'error'

const NONE: readonly string[] = []

/** How often a stream whose history could not be read tries again, in milliseconds. */
const RETRY_READ = 1_000
/** A stream that is refused for want of room comes back after so long, in milliseconds, and up to five times that. */
const REFUSED_RECONNECTION = 5_000
/** Those who return with more than so many before them are let in when these have been served. */
const MAX_REPLAYING = 64
/** For how long streams are ended before the event loop turns, in milliseconds: what their sockets then do takes several times that. */
const END_SLICE = 2

/** When an event was appended elsewhere is known about so exactly, in milliseconds. */
const TIME_TOLERANCE = 5

/** Learns of each stream that is opened or closed. Must not throw. */
export interface StreamListener {
  onOpen(stream: EventStream): void
  onClose(stream: EventStream, reason: CloseReason): void
}

export interface StreamManagerParts {
  readonly log: EventLog
  readonly cluster: Cluster
  readonly options: StreamSettings
  readonly listener: StreamListener
  readonly logger: Logger
}

/** Opens, feeds and closes the streams of this node. */
export class StreamManager implements StreamHost, TailListener {
  readonly log: EventLog
  readonly registry = new StreamRegistry()
  readonly closed = Object.fromEntries([...CLOSE_REASONS, 'cut'].map((reason) => [reason, 0])) as Closed
  /** How many streams were rejected before they were opened. */
  readonly rejected: Record<StreamRejection, number> = { limit: 0, shutdown: 0, error: 0 }
  /** How many streams were opened. */
  opened = 0
  /** The newest event that the tail has handed over. */
  head: Cursor = { seq: 0, witness: '' }
  readonly #cluster: Cluster
  readonly #options: StreamSettings
  readonly #listener: StreamListener
  readonly #logger: Logger
  readonly #queue: DeliveryQueue<EventStream>
  readonly #readFailures: ReadFailures
  readonly #wheel: HeartbeatWheel<EventStream>
  readonly #rate: OpeningRate | undefined
  readonly #expiries: Expiries<EventStream>
  readonly #backpressured = new Set<EventStream>()
  readonly #unread = new Set<EventStream>()
  #sinceRetry = 0
  readonly #bareHeartbeat = new WireBytes(heartbeatFrame(undefined))
  #heartbeat: { head: Cursor; bytes: WireBytes } | undefined
  #tail: Tail | undefined
  #draining: Promise<void> | undefined
  /** How many streams there were when the hub began to close: they all return at about the same time. */
  #cut = 0

  constructor(parts: StreamManagerParts) {
    this.log = parts.log
    this.#cluster = parts.cluster
    this.#options = parts.options
    this.#listener = parts.listener
    this.#logger = parts.logger
    const { clock, heartbeatInterval: interval, openingRate } = this.#options
    this.#rate = openingRate === 0 ? undefined : new OpeningRate(openingRate)
    this.#expiries = new Expiries(clock)
    this.#queue = new DeliveryQueue(clock, (stream, error) => this.#onFailure(stream, error))
    this.#readFailures = new ReadFailures(this.#logger, () => clock.monotonic())
    this.#wheel = new HeartbeatWheel({
      clock,
      interval,
      heartbeat: (stream) => this.#guarded(stream, () => this.#sendHeartbeat(stream)),
      step: (elapsed) => this.#step(elapsed)
    })
  }

  async start(): Promise<void> {
    this.#tail = await this.log.tail(this)
    const { position } = this.#tail
    if (position !== undefined && position.seq >= this.head.seq) this.head = position
  }

  /** Whether the log has been reached: until then there is no position from which streams could begin. */
  get isHeadKnown(): boolean {
    return this.head.witness !== ''
  }

  get isClosing(): boolean {
    return this.#draining !== undefined
  }

  /**
   * Checks an opening before anything is sent, so that what is wrong with it can still be told by a status.
   * @throws {UnauthenticatedError} when the identity has lapsed, and for bad names, too many topics, or a bad `last`.
   */
  check({ user, topics = [], expiresAt, from, last, lastEventId }: StreamRequest): void {
    if (user !== null) userChannel(user)
    if (!Array.isArray(topics)) throw new InvalidDraftError(`topics is an array; got ${describe(topics)}`)
    for (const topic of topics) topicChannel(topic)
    if (topics.length > this.#options.maxTopics) throw new TooManyTopicsError(this.#options.maxTopics)
    if (last !== undefined && (!Number.isSafeInteger(last) || last < 1 || last > MAX_LAST)) {
      throw new InvalidDraftError(`last is a whole number from 1 to ${MAX_LAST}`)
    }
    if (from !== undefined && from !== 'oldest') {
      throw new InvalidRequestError(`from is "oldest", or left out; got ${describe(from)}`)
    }
    if (lastEventId !== undefined && typeof lastEventId !== 'string') {
      throw new InvalidRequestError(`lastEventId is a string, or left out; got ${describe(lastEventId)}`)
    }
    if (expiresAt === undefined) return
    if (typeof expiresAt !== 'number' || Number.isNaN(expiresAt)) {
      throw new InvalidDraftError(`expiresAt is a time in milliseconds since the epoch; got ${describe(expiresAt)}`)
    }
    if (expiresAt <= this.#options.clock.now()) throw new UnauthenticatedError()
  }

  /** Whether it matters where a stream comes from. */
  get limitsAddresses(): boolean {
    return this.#options.maxStreamsPerAddress > 0
  }

  /** Whether a user, or where addresses are limited an address, opens streams faster than it may; if not, counts one. */
  isTooFast(user: string | null, address: string): boolean {
    if (this.#rate === undefined) return false
    const isOfUser = user === null || this.#rate.take(`u:${user}`, this.now)
    return !isOfUser || (address !== '' && !this.#rate.take(`a:${address}`, this.now))
  }

  /** Why a stream cannot be opened now, if it cannot; a user's oldest stream may be closed to make room. */
  admit(user: string | null, address: string): StreamRejection | undefined {
    const { maxStreams, maxStreamsPerUser, maxStreamsPerAddress, onUserLimit } = this.#options
    if (this.isClosing) return 'shutdown'
    if (maxStreams > 0 && this.registry.size >= maxStreams) return 'limit'
    if (this.limitsAddresses && address !== '' && this.registry.countOfAddress(address) >= maxStreamsPerAddress)
      return 'limit'
    if (user === null || maxStreamsPerUser === 0) return undefined
    const excess = this.registry.countOfUser(user) - maxStreamsPerUser + 1
    if (excess <= 0) return undefined
    if (onUserLimit === 'reject') return 'limit'
    for (const oldest of [...this.registry.ofUser(user)].slice(0, excess)) oldest.close('replaced')
    return undefined
  }

  /**
   * Counts a stream in on all nodes before it is opened, where a limit over all of them refuses: resolves with what to open,
   * or with undefined if there is no room. Returns undefined where there is nothing to wait for.
   */
  reserve(opening: StreamRequest): Promise<StreamEntry | undefined> | undefined {
    const { maxStreamsPerUser: limit, onUserLimit, clock } = this.#options
    const { user, topics = NONE, follows = false } = opening
    if (this.#cluster.isSingleNode || onUserLimit !== 'reject' || limit === 0 || user === null) return undefined
    const entry = { id: randomText(16), user, topics, follows, since: clock.now() }
    return this.#cluster.reserve(entry, limit).then((hasRoom) => (hasRoom ? entry : undefined))
  }

  /** Gives back a place that was reserved, because its client has left meanwhile or there is no room for another reason. */
  release(reserved: StreamEntry): void {
    this.#cluster.closed(reserved)
  }

  /** What a client is told that is turned away for now: an event source takes any status but 200 as the end for good. */
  refusal(reason: StreamRejection): WireBytes {
    const wait =
      reason === 'limit' ? REFUSED_RECONNECTION * (1 + 5 * this.#options.clock.random()) : this.reconnectionTime(true)
    return new WireBytes(retryableCloseFrame(reason, Math.round(wait)))
  }

  /** Opens a stream that was checked and admitted. */
  open(sink: Sink, opening: StreamRequest): EventStream {
    const { user, topics = NONE, follows = false, address = '' } = opening
    const isFed = follows && topics.length === 0
    const opened = this.#tail !== undefined && this.isHeadKnown ? this.head : undefined
    const init = {
      id: opening.id ?? randomText(16),
      user,
      address,
      topics,
      follows,
      beginning: isFed ? NO_HISTORY : beginning(opening, opened),
      since: this.#options.clock.now()
    }
    const stream = new EventStream(this, sink, init)
    this.registry.add(stream)
    this.#wheel.add(stream)
    this.#expiries.add(stream, { expiresAt: opening.expiresAt, maxAge: isFed ? 0 : this.#options.maxStreamAge })
    this.opened++
    this.#cluster.opened(stream)
    stream.start()
    this.#listener.onOpen(stream)
    return stream
  }

  drain(): Promise<void> {
    this.#draining ??= this.#endAll()
    return this.#draining
  }

  async #endAll(): Promise<void> {
    const streams = [...this.registry.all()]
    this.#cut = streams.length
    let sliceEnd = this.now + END_SLICE
    for (const stream of streams) {
      if (this.now >= sliceEnd) {
        await new Promise((resolve) => setImmediate(resolve))
        sliceEnd = this.now + END_SLICE
      }
      stream.close('shutdown')
    }
  }

  async stop(): Promise<void> {
    await this.drain()
    await this.#tail?.stop()
  }

  onEvents(events: readonly LogEvent[]): void {
    for (const event of events) {
      if (event.cursor !== null) this.head = event.cursor
      try {
        this.#offer(event)
      } catch (error) {
        // The log waits for its listener, and the events that follow must not be lost with this one.
        this.#logger.error({ err: error, id: event.id }, 'an event of the log could not be delivered')
      }
    }
  }

  #offer(event: LogEvent): void {
    let alone: PendingEvents | undefined
    const { cursor, appendedAt } = event
    // A transient event from before a stream was opened is not for it: its client may have been given it by another node.
    const isPassing = cursor === null && appendedAt !== undefined
    const openedBy = isPassing ? appendedAt + TIME_TOLERANCE : Number.POSITIVE_INFINITY
    for (const channel of event.channels) {
      for (const stream of this.registry.listeners(channel)) {
        if (stream.openedAt > openedBy) continue
        alone ??= new PendingEvents(event)
        stream.offer(event, alone)
      }
    }
  }

  onDiscontinuity(position: Cursor): void {
    this.head = position
    for (const stream of this.registry.all()) stream.startReplay()
  }

  /** Whether so many streams have history to read that more of them had better wait. */
  get isCatchingUp(): boolean {
    return this.#queue.replaying > MAX_REPLAYING
  }

  get now(): number {
    return this.#options.clock.monotonic()
  }

  flushSoon(stream: EventStream): void {
    this.#queue.flushSoon(stream)
  }

  catchUpSoon(stream: EventStream): void {
    this.#queue.catchUpSoon(stream)
  }

  onReadError(stream: EventStream, error: unknown): void {
    this.#unread.add(stream)
    this.#readFailures.onFailure(error, this.#unread.size)
  }

  onRead(): void {
    this.#readFailures.onSuccess()
  }

  onSinkError(stream: EventStream, error: unknown): void {
    this.#logger.error({ err: error, stream: stream.id }, 'a stream could not be ended')
  }

  /** What goes wrong with one stream ends that stream, which resumes where it was, and no other. */
  #onFailure(stream: EventStream, error: unknown): void {
    this.#logger.error({ err: error, stream: stream.id }, 'a stream failed, and is closed')
    stream.close('error')
  }

  #guarded(stream: EventStream, action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#onFailure(stream, error)
    }
  }

  welcome(stream: EventStream, resumed: boolean, replayed: number): Welcome | undefined {
    if (!this.#options.welcome) return undefined
    const { heartbeatInterval, onlineCounts } = this.#options
    const online = onlineCounts ? { online: this.#online() } : {}
    return { stream: stream.id, user: stream.user, ...online, heartbeatInterval, resumed, replayed }
  }

  #online(): { users: number; streams: number } {
    const { users, streams } = this.#cluster.elsewhere
    return { users: this.registry.users + users, streams: this.registry.size + streams }
  }

  /** Spread by a half about the option; streams that are cut together are spread so that about a thousand return a second. */
  reconnectionTime(isClosing: boolean): number {
    const { reconnectionTime, clock } = this.#options
    const spread = isClosing ? Math.max(reconnectionTime, this.registry.size, this.#cut) : reconnectionTime
    return Math.min(MAX_RECONNECTION_TIME, Math.round(reconnectionTime / 2 + clock.random() * spread))
  }

  onBackpressure(stream: EventStream): void {
    stream.unsentBefore = stream.unsent
    this.#backpressured.add(stream)
  }

  onClosed(stream: EventStream, reason: CloseReason, reconnect: boolean): void {
    this.registry.delete(stream)
    this.#cluster.closed(stream)
    this.#wheel.delete(stream)
    this.#expiries.delete(stream)
    this.#backpressured.delete(stream)
    this.#unread.delete(stream)
    this.closed[reason === 'kicked' && reconnect ? 'cut' : reason]++
    this.#listener.onClose(stream, reason)
  }

  #sendHeartbeat(stream: EventStream): void {
    if (this.#heartbeat?.head !== this.head)
      this.#heartbeat = { head: this.head, bytes: new WireBytes(heartbeatFrame(this.head)) }
    stream.heartbeat(this.head, this.#heartbeat.bytes, this.#bareHeartbeat)
  }

  #step(sinceLast: number): void {
    // If the loop was blocked, that is not the client's fault: only so much of it counts.
    const elapsed = Math.min(sinceLast, 1_000)
    this.#closeStalled(elapsed)
    // A tick early, never late: who was let in until a time is out by that time.
    for (let stream = this.#expiries.takeDue(elapsed); stream !== undefined; stream = this.#expiries.takeDue(elapsed))
      stream.close('expired')
    this.#sinceRetry += elapsed
    if (this.#sinceRetry < RETRY_READ) return
    this.#sinceRetry = 0
    const unread = [...this.#unread]
    this.#unread.clear()
    for (const stream of unread) stream.startReplay()
  }

  #closeStalled(elapsed: number): void {
    const { stallTimeout } = this.#options
    for (const stream of this.#backpressured) {
      if (!stream.isBackpressured) {
        this.#backpressured.delete(stream)
        continue
      }
      const { unsent } = stream
      stream.stalledFor = unsent < stream.unsentBefore ? 0 : stream.stalledFor + elapsed
      stream.unsentBefore = unsent
      if (stallTimeout > 0 && stream.stalledFor >= stallTimeout) stream.close('slow')
    }
  }
}
