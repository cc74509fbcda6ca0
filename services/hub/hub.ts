import type { CloseCommand, Cluster } from '../cluster/cluster.ts'
import { NodeStreams } from '../cluster/local-node.ts'
import { InvalidRequestError, LogUnavailableError } from '../errors.ts'
import type { EventLog, HealthCheck } from '../event-log/event-log.ts'
import { MemoryLog } from '../event-log/memory/memory-log.ts'
import { userChannel } from '../events/channel.ts'
import { formatCursor } from '../events/cursor.ts'
import type { AnyDraft, EventDraft, EventMap, LoggedDraft } from '../events/draft.ts'
import { asList } from '../events/target.ts'
import type { Logger } from '../logger.ts'
import type { EventStream } from '../streams/event-stream.ts'
import type { Sink } from '../streams/sink.ts'
import type { Stream } from '../streams/stream.ts'
import { type StreamListener, StreamManager } from '../streams/stream-manager.ts'
import type { StreamRequest } from '../streams/stream-request.ts'
import { describe } from '../text.ts'
import { DrainDelay, type DrainOptions } from './drain-delay.ts'
import { type HistoryPage, readHistory } from './history.ts'
import { checkLimit, type HistoryOf, type HistoryQuery } from './history-query.ts'
import { type HubEventMap, HubEvents } from './hub-events.ts'
import type { HubStats } from './hub-stats.ts'
import { type HubOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import { type OnlinePage, Presence, type UserPresence } from './presence.ts'
import { Publisher, type PublishOptions, type PublishReceipt, type Targeted } from './publisher.ts'
import { noRefusals, type Refusal } from './refusals.ts'

/**
 * The object that publishes and delivers. It publishes by appending to the event log, and delivers what the log's tail hands
 * back. It knows nothing of HTTP: streams are opened on sinks.
 */
export class Hub<Events extends object = EventMap> {
  readonly options: ResolvedOptions
  /** @internal What opens, feeds and closes the streams of this node. */
  readonly manager: StreamManager
  readonly #log: EventLog
  readonly #cluster: Cluster
  readonly #localNode: NodeStreams
  readonly #events: HubEvents
  readonly #presence: Presence
  readonly #publisher: Publisher
  readonly #drainDelay: DrainDelay
  readonly #refused = noRefusals()
  #started: Promise<void> | undefined
  #disposed: Promise<void> | undefined

  /** @throws {InvalidOptionError} */
  constructor(options: HubOptions, logger: Logger) {
    this.options = resolveOptions(options)
    this.#log = this.options.log ?? new MemoryLog(this.options)
    this.#events = new HubEvents(logger)
    this.#cluster = this.options.cluster
    const parts = { log: this.#log, cluster: this.#cluster, options: this.options, logger }
    const listener: StreamListener = {
      onOpen: (stream) => this.#events.emit('open', stream),
      onClose: (stream, reason) => this.#events.emit('close', stream, reason)
    }
    this.manager = new StreamManager({ ...parts, listener })
    this.#localNode = new NodeStreams(this.manager.registry, this.options, logger)
    this.#presence = new Presence(this.manager.registry, this.#cluster)
    this.#drainDelay = new DrainDelay(this.options.clock)
    this.#publisher = new Publisher({ ...parts, events: this.#events, presence: this.#presence })
  }

  /** Begins to listen to the log. Until then nothing is delivered. */
  start(): Promise<void> {
    this.#started ??= this.manager.start().then(() => this.#cluster.join(this.#localNode))
    return this.#started
  }

  /** Publishes an event to one user or several: to every stream of theirs, on every node, and to their history. */
  async send(
    user: string | readonly string[],
    draft: LoggedDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt>
  async send(
    user: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>>
  async send(
    user: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>> {
    return this.#publisher.publish({ users: asList(user) }, draft as AnyDraft, options)
  }

  /** Publishes an event to a topic, or to several: a stream that listens to more than one of them gets it once. */
  async publish(
    topic: string | readonly string[],
    draft: LoggedDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt>
  async publish(
    topic: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>>
  async publish(
    topic: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>> {
    return this.#publisher.publish({ topics: asList(topic) }, draft as AnyDraft, options)
  }

  /** Publishes an event to everyone. */
  async broadcast(draft: LoggedDraft<Events>, options?: PublishOptions): Promise<PublishReceipt>
  async broadcast(draft: EventDraft<Events>, options?: PublishOptions): Promise<PublishReceipt<string | null>>
  async broadcast(draft: EventDraft<Events>, options?: PublishOptions): Promise<PublishReceipt<string | null>> {
    return this.#publisher.publish({ everyone: true }, draft as AnyDraft, options)
  }

  /**
   * Publishes several events, all or none, in this order and with nothing between.
   * @throws {BatchTooLargeError} for more than `maxBatch`, and whatever is wrong with one of them.
   */
  async publishBatch(
    drafts: readonly Targeted<LoggedDraft<Events>>[],
    options?: PublishOptions
  ): Promise<PublishReceipt[]>
  async publishBatch(
    drafts: readonly Targeted<EventDraft<Events>>[],
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>[]>
  async publishBatch(
    drafts: readonly Targeted<EventDraft<Events>>[],
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>[]> {
    return this.#publisher.publishBatch(drafts as readonly Targeted<AnyDraft>[], options)
  }

  /** @internal Opens a stream on a sink; see {@link StreamManager.open}. */
  open(sink: Sink, opening: StreamRequest): EventStream {
    return this.manager.open(sink, opening)
  }

  /**
   * Closes all streams of a user, or one stream, on whatever node. They are closed for good (`kicked`): an event source that comes back by
   * itself is answered 204. With `reconnect: true` they are only cut, and come back.
   * @returns how many were closed. A node that does not answer within two seconds is not counted; it obeys when it can.
   * @throws {ClusterUnavailableError} when the other nodes may not have been told; here they are closed nevertheless.
   */
  async disconnect(
    target: string | Stream | { readonly stream: string },
    { reconnect = false }: { readonly reconnect?: boolean | undefined } = {}
  ): Promise<number> {
    if (typeof target === 'string') {
      userChannel(target)
      return this.#closeEverywhere({ of: { user: target }, reason: 'kicked', reconnect })
    }
    if (typeof target !== 'object' || target === null)
      throw new InvalidRequestError(`disconnect() takes a user, a stream or { stream }; got ${describe(target)}`)
    const id = 'stream' in target ? target.stream : target.id
    return this.#closeEverywhere({ of: { streams: [id] }, reason: 'kicked', reconnect })
  }

  async #closeEverywhere(command: CloseCommand): Promise<number> {
    const here = this.#localNode.close(command)
    const isDone = 'streams' in command.of && here > 0
    // Also by who seems to be alone: a node that is cut off obeys when it is back.
    return isDone ? here : here + (await this.#cluster.close(command))
  }

  /**
   * Whether the user has an open stream, on any node.
   * @throws {ClusterUnavailableError} when that cannot be known.
   */
  async isOnline(user: string): Promise<boolean> {
    userChannel(user)
    return this.#presence.isOnline(user)
  }

  /**
   * The streams of a user, on all nodes, the oldest first.
   * @throws {ClusterUnavailableError}
   */
  async presence(user: string): Promise<UserPresence> {
    userChannel(user)
    return this.#presence.of(user)
  }

  /**
   * Who is online, on any node, in the order of names, a page at a time.
   * @throws {ClusterUnavailableError}
   */
  async online({
    after = '',
    limit = 100
  }: {
    after?: string | undefined
    limit?: number | undefined
  } = {}): Promise<OnlinePage> {
    return this.#presence.page(after, checkLimit(limit))
  }

  /**
   * What is held for a user, for a topic, or for everyone, the oldest first.
   * @throws {InvalidRequestError} for a limit outside 1 to 1,000. An `after` that the log does not know is no error: then
   * everything that is held is returned, and `complete` is false.
   */
  async history(of: HistoryOf, query: HistoryQuery = {}): Promise<HistoryPage> {
    return readHistory(this.#log, of, query)
  }

  /**
   * Where the hub is now. A page that is rendered with it, and hands it to its event source as `lastEventId`, misses nothing
   * that happens until the stream is open.
   * @throws {LogUnavailableError} as long as the event log has not been reached.
   */
  cursor(): string {
    if (!this.manager.isHeadKnown)
      throw new LogUnavailableError('The event log has not been reached yet. Try again later')
    return formatCursor(this.manager.head)
  }

  /** @internal Counts a request or connection that was refused before there was a stream. */
  countRefusal(reason: Refusal): void {
    this.#refused[reason]++
  }

  /** Counts of this node, and the number of streams and users of all nodes. Costs nothing that grows with them. */
  stats(): HubStats {
    const { opened, closed, rejected, registry } = this.manager
    const { size: streams, users } = registry
    const { elsewhere } = this.#cluster
    return {
      streams,
      users,
      cluster: { streams: streams + elsewhere.streams, users: users + elsewhere.users },
      published: this.#publisher.published,
      opened,
      closed: { ...closed },
      refused: { ...this.#refused, ...rejected },
      log: this.#log.stats()
    }
  }

  /** Whether an event would be accepted and a stream opened now. */
  async ready(): Promise<boolean> {
    if (this.manager.isClosing || this.#drainDelay.hasBegun) return false
    const log = this.#log as EventLog & Partial<HealthCheck>
    return log.ready === undefined || (await log.ready())
  }

  on<Name extends keyof HubEventMap>(name: Name, listener: (...args: HubEventMap[Name]) => unknown): this {
    this.#events.on(name, listener)
    return this
  }

  off<Name extends keyof HubEventMap>(name: Name, listener: (...args: HubEventMap[Name]) => unknown): this {
    this.#events.off(name, listener)
    return this
  }

  /**
   * Ends every stream (`shutdown`), and lets no new one in. Publishing goes on until {@link Hub.dispose}.
   *
   * With a `delay` the hub is not ready at once, and serves on until the delay is over. A call without a delay, as
   * `app.close()` makes one, ends the delay.
   * @throws {InvalidOptionError}
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    const delay = this.#drainDelay.begin(options)
    if (delay !== undefined) await delay
    await this.manager.drain()
  }

  /**
   * Drains, takes leave of the other nodes, and closes the log. A step that fails does not keep the next from being taken.
   * @throws {Error} what the first of the failed steps threw, when all were taken.
   */
  dispose(): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  async #dispose(): Promise<void> {
    try {
      await this.manager.stop()
    } finally {
      try {
        await this.#cluster.leave()
      } finally {
        await this.#log.close()
      }
    }
  }
}
