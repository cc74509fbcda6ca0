import type { Cluster } from '../cluster/cluster.ts'
import type { EventLog, Tail, TailListener } from '../event-log/event-log.ts'
import { type Channel, channelsHeard } from '../events/channel.ts'
import { CLOSE_REASONS, type CloseReason } from '../events/close-reason.ts'
import type { Cursor } from '../events/cursor.ts'
import { retryableCloseFrame, type Welcome } from '../events/hub-frames.ts'
import type { LogEvent } from '../events/log-event.ts'
import type { EventTracing } from '../events/trace.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import { MAX_RECONNECTION_TIME } from '../events/wire-format.ts'
import type { Logger } from '../logger.ts'
import { randomText } from '../random.ts'
import { Admission, type StreamRejection } from './admission.ts'
import { DeliveryCounts } from './delivery-counts.ts'
import { DeliveryObservers } from './delivery-observers.ts'
import { DeliveryQueue } from './delivery-queue.ts'
import { EventStream } from './event-stream.ts'
import { PendingEvents } from './pending-events.ts'
import { ReadFailures } from './read-failures.ts'
import type { Sink } from './sink.ts'
import type { StreamHost, UnreadCounts } from './stream-host.ts'
import { StreamMaintenance } from './stream-maintenance.ts'
import { StreamRegistry } from './stream-registry.ts'
import { beginning, NO_HISTORY, type StreamRequest } from './stream-request.ts'
import type { StreamSettings } from './stream-settings.ts'
import { TopicChanges, type TopicUpdate } from './topic-changes.ts'
import { expiryFields, welcomeFields } from './welcome-fields.ts'
import type { WriteLatency } from './write-latency.ts'

/**
 * How many streams were closed for each reason. `cut` counts the streams that `disconnect()` closed with `reconnect: true`, and
 * `kicked` those that it closed for good.
 */
export type Closed = Record<CloseReason | 'cut', number>

const NONE: readonly string[] = []

/** The reconnection time of a stream that a limit rejects, in milliseconds; with jitter up to six times as long. */
const REJECTED_RECONNECTION = 5_000
/** While more streams than this are replaying, returning clients wait. */
const MAX_REPLAYING = 64
/** How long a drain closes streams before the event loop turns, in milliseconds: their sockets then need several times that. */
const END_SLICE = 2

/** The precision of the time at which another node appended an event, in milliseconds. */
const TIME_TOLERANCE = 5

/** Called for each stream that opens or closes. Must not throw. */
export interface StreamListener {
  onOpen(stream: EventStream): void
  onClose(stream: EventStream, reason: CloseReason): void
}

export interface StreamManagerParts {
  readonly log: EventLog
  readonly cluster: Cluster
  readonly options: StreamSettings
  readonly listener: StreamListener
  readonly unread: UnreadCounts<EventStream>
  readonly logger: Logger
}

/** Opens the streams of this node, assigns events to them, and closes them. */
export class StreamManager implements StreamHost<EventStream>, TailListener {
  readonly log: EventLog
  readonly unread: UnreadCounts<EventStream>
  readonly registry = new StreamRegistry()
  readonly admission: Admission
  readonly counts = new DeliveryCounts()
  readonly closed = Object.fromEntries([...CLOSE_REASONS, 'cut'].map((reason) => [reason, 0])) as Closed
  /** The number of requests rejected before a stream was opened. */
  readonly rejected: Record<StreamRejection, number> = { limit: 0, shutdown: 0, error: 0 }
  /** The number of streams opened so far. */
  opened = 0
  /** The newest event that the tail has dispatched. */
  head: Cursor = { seq: 0, witness: '' }
  readonly #cluster: Cluster
  readonly #options: StreamSettings
  readonly #listener: StreamListener
  readonly #logger: Logger
  readonly #queue: DeliveryQueue<EventStream>
  readonly #readFailures: ReadFailures
  readonly #maintenance: StreamMaintenance
  readonly #topicChanges: TopicChanges
  readonly #observers: DeliveryObservers
  #tail: Tail | undefined
  #draining: Promise<void> | undefined
  /** The number of streams when the drain began: they all return at about the same time. */
  #cut = 0

  constructor(parts: StreamManagerParts) {
    this.log = parts.log
    this.unread = parts.unread
    this.#cluster = parts.cluster
    this.#options = parts.options
    this.#listener = parts.listener
    this.#logger = parts.logger
    const { clock } = this.#options
    const { registry } = this
    this.admission = new Admission({ ...parts, registry, isClosing: () => this.isClosing })
    const onError = (stream: EventStream, error: unknown) => this.#onFailure(stream, error)
    this.#queue = new DeliveryQueue(clock, onError)
    this.#observers = new DeliveryObservers(this.#queue)
    this.#readFailures = new ReadFailures(this.#logger, () => clock.monotonic())
    const head = () => this.head
    const interest = () => this.#tail?.interest
    this.#topicChanges = new TopicChanges({ ...parts, registry, head, interest })
    this.#maintenance = new StreamMaintenance({ options: this.#options, head, onError })
  }

  async start(): Promise<void> {
    this.#tail = await this.log.tail(this, { byInterest: true })
    const { position, interest } = this.#tail
    for (const stream of this.registry.all()) interest?.addAtOnce(channelsOf(stream))
    if (position !== undefined && position.seq >= this.head.seq) this.head = position
  }

  /** Whether the log was reached. Until then the hub knows no position from which streams could begin. */
  get isHeadKnown(): boolean {
    return this.head.witness !== ''
  }

  get isClosing(): boolean {
    return this.#draining !== undefined
  }

  /** The bytes of a retryable rejection, sent with status 200: an event source gives up at any other status. */
  refusal(reason: StreamRejection): WireBytes {
    const wait =
      reason === 'limit' ? REJECTED_RECONNECTION * (1 + 5 * this.#options.clock.random()) : this.reconnectionTime(true)
    return new WireBytes(retryableCloseFrame(reason, Math.round(wait)))
  }

  /**
   * Registers the interest in the events of a stream before it is opened. Returns a promise, which is never rejected, unless the
   * log passes them already. The caller opens the stream, or calls {@link forgo}.
   */
  prepare(opening: StreamRequest): Promise<void> | undefined {
    return this.#tail?.interest?.add(channelsOf(opening))
  }

  /** A prepared stream is not opened. */
  forgo(opening: StreamRequest): void {
    this.#tail?.interest?.delete(channelsOf(opening))
  }

  /**
   * Opens a stream that the admission has checked and admitted.
   * @param isPrepared whether {@link prepare} was called, and its promise is fulfilled.
   */
  open(sink: Sink, opening: StreamRequest, isPrepared = false): EventStream {
    const { user, topics = NONE, follows = false, address = '', forwardedFor } = opening
    if (!isPrepared) this.#tail?.interest?.addAtOnce(channelsOf(opening))
    const isFed = follows && topics.length === 0
    const opened = this.#tail !== undefined && this.isHeadKnown ? this.head : undefined
    const init = {
      id: opening.id ?? randomText(16),
      user,
      address,
      forwardedFor,
      topics,
      follows,
      beginning: isFed ? NO_HISTORY : beginning(opening, opened),
      since: this.#options.clock.now(),
      expiresAt: opening.expiresAt,
      rights: opening.rights
    }
    const stream = new EventStream(this, sink, init)
    this.registry.add(stream)
    this.#maintenance.add(stream, { expiresAt: opening.expiresAt, maxAge: isFed ? 0 : this.#options.maxStreamAge })
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
        this.#observers.onEvent(event)
        this.#offer(event)
        this.#observers.onAssigned()
        this.unread.onEvent(event)
      } catch (error) {
        // The log waits for its listener, and the following events must not be lost with this one.
        this.#logger.error({ err: error, id: event.id }, 'an event of the log could not be delivered')
      }
    }
    this.#topicChanges.onHead(this.head.seq)
  }

  #offer(event: LogEvent): void {
    let alone: PendingEvents | undefined
    const { cursor, appendedAt } = event
    // A stream takes no transient event from before its opening: another node may have delivered it to the client.
    const isTransient = cursor === null && appendedAt !== undefined
    const openedBy = isTransient ? appendedAt + TIME_TOLERANCE : Number.POSITIVE_INFINITY
    const excepted = event.except && new Set<string | null>(event.except)
    for (const channel of event.channels) {
      for (const stream of this.registry.listeners(channel)) {
        if (stream.openedAt > openedBy || excepted?.has(stream.user)) continue
        alone ??= new PendingEvents(event)
        stream.offer(event, alone)
      }
    }
  }

  onHead(head: Cursor): void {
    this.head = head
    this.#topicChanges.onHead(head.seq)
  }

  onLate(channels: readonly Channel[]): void {
    const streams = new Set(channels.flatMap((channel) => [...this.registry.listeners(channel)]))
    for (const stream of streams) stream.readAgain()
  }

  onDiscontinuity(position: Cursor): void {
    this.head = position
    this.counts.discontinuities++
    for (const stream of this.registry.all()) stream.onDiscontinuity()
    this.#topicChanges.onHead(Number.POSITIVE_INFINITY)
  }

  /** Whether so many streams are replaying that returning clients should wait. */
  get isCatchingUp(): boolean {
    return this.#queue.replaying > MAX_REPLAYING
  }

  /** Measures from now on how long events take until they are written. */
  measureWrites(): WriteLatency {
    return this.#observers.measureWrites(() => this.now)
  }

  /** Reports the deliveries of events with a trace from now on. */
  traceDeliveries(tracing: EventTracing): void {
    this.#observers.trace(tracing, this.registry)
  }

  /** How late the heartbeat timer was, at most, within the last half minute, in milliseconds. */
  get heartbeatLag(): number {
    return this.#maintenance.lag
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
    this.counts.readErrors++
    this.#readFailures.onFailure(error, this.#maintenance.retryLater(stream))
  }

  onRead(): void {
    this.#readFailures.onSuccess()
  }

  onSinkError(stream: EventStream, error: unknown): void {
    this.#logger.error({ err: error, stream: stream.id }, 'a stream could not be ended')
  }

  /** An error of one stream closes that stream alone; its client resumes. */
  #onFailure(stream: EventStream, error: unknown): void {
    this.#logger.error({ err: error, stream: stream.id }, 'a stream failed, and is closed')
    stream.close('error')
  }

  welcome(stream: EventStream, resumed: boolean, replayed: number, unread?: number): Welcome | undefined {
    if (!this.#options.welcome) return undefined
    const { heartbeatInterval, onlineCounts, clock } = this.#options
    const online = onlineCounts ? { online: this.online } : {}
    const { id, user, topics, expiresAt } = stream
    const expiry = expiryFields(expiresAt, clock.now())
    const welcome = { stream: id, user, topics, ...expiry, ...online, heartbeatInterval, resumed, replayed }
    const counted = unread === undefined ? {} : { unread }
    return { ...welcome, ...counted, ...this.#hostFields(stream) }
  }

  /** A mistake of the host's `welcome` function must not keep a stream from opening. */
  #hostFields(stream: EventStream): object {
    const { welcome } = this.#options
    if (typeof welcome !== 'function') return {}
    try {
      return welcomeFields(welcome, stream)
    } catch (error) {
      this.#logger.error(
        { err: error, stream: stream.id },
        'the welcome has no fields of the host: its function failed'
      )
      return {}
    }
  }

  get maxEventBytes(): number {
    return this.#options.maxEventBytes
  }

  /** Open streams of all nodes, and users who have one; see `Cluster.elsewhere`. */
  get online(): { users: number; streams: number } {
    const { users, streams } = this.#cluster.elsewhere
    return { users: this.registry.users + users, streams: this.registry.size + streams }
  }

  /** Between half and one and a half of the option. Streams that close together return at about a thousand per second. */
  reconnectionTime(isClosing: boolean): number {
    return this.#reconnectionTime(isClosing, this.#options.clock.random())
  }

  #reconnectionTime(isClosing: boolean, random: number): number {
    const { reconnectionTime } = this.#options
    const spread = isClosing ? Math.max(reconnectionTime, this.registry.size, this.#cut) : reconnectionTime
    return Math.min(MAX_RECONNECTION_TIME, Math.round(reconnectionTime / 2 + random * spread))
  }

  /** How long a user whose stream the hub closes for now may be away: as long as the client was asked to wait, and the grace. */
  get drainGrace(): number {
    return this.#options.presenceGrace + this.#reconnectionTime(true, 1)
  }

  changeTopics(stream: EventStream, update: TopicUpdate): Promise<boolean> {
    return this.#topicChanges.change(stream, update)
  }

  onBackpressure(stream: EventStream): void {
    this.#maintenance.onBackpressure(stream)
  }

  onClosed(stream: EventStream, reason: CloseReason, reconnect: boolean): void {
    const isAskedToReturn = reconnect && reason !== 'client'
    const absence = isAskedToReturn ? this.drainGrace : this.#options.presenceGrace
    this.registry.delete(stream)
    this.#tail?.interest?.delete(channelsOf(stream))
    this.#cluster.closed(stream, absence)
    this.#maintenance.delete(stream)
    this.closed[reason === 'kicked' && reconnect ? 'cut' : reason]++
    this.#listener.onClose(stream, reason)
  }
}

function channelsOf({ user, topics = NONE, follows = false }: StreamRequest | EventStream): Channel[] {
  return channelsHeard(user, topics, follows)
}
