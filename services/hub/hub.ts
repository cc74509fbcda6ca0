import type { CloseCommand, Cluster } from '../cluster/cluster.ts'
import { NodeStreams } from '../cluster/local-node.ts'
import { singleNode } from '../cluster/single-node.ts'
import { InvalidRequestError, LogUnavailableError } from '../errors.ts'
import type { EventLog, HealthCheck, MeasuredConnection } from '../event-log/event-log.ts'
import { MemoryLog } from '../event-log/memory/memory-log.ts'
import { topicChannel, userChannel } from '../events/channel.ts'
import { formatCursor } from '../events/cursor.ts'
import type { EventMap } from '../events/draft.ts'
import type { EventTracing } from '../events/trace.ts'
import { UnreadNotices } from '../inbox/unread-notices.ts'
import type { Logger } from '../logger.ts'
import type { EventStream } from '../streams/event-stream.ts'
import type { Sink } from '../streams/sink.ts'
import type { Stream } from '../streams/stream.ts'
import { type StreamListener, StreamManager } from '../streams/stream-manager.ts'
import type { StreamRequest } from '../streams/stream-request.ts'
import { countStates, type StreamStates } from '../streams/stream-states.ts'
import { describe } from '../text.ts'
import { AppendMeasures } from './append-measures.ts'
import { DrainDelay, type DrainOptions } from './drain-delay.ts'
import { type HistoryPage, readHistory } from './history.ts'
import { checkLimit, type HistoryOf, type HistoryQuery } from './history-query.ts'
import { type HubEventMap, HubEvents } from './hub-events.ts'
import type { HubMeasures } from './hub-measures.ts'
import type { HubStats } from './hub-stats.ts'
import { type HubOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import type { Outbox } from './outbox.ts'
import { type InspectedStream, type OnlinePage, Presence, type TopicListeners, type UserPresence } from './presence.ts'
import { PresenceReporter } from './presence-reporter.ts'
import { PublishMethods } from './publish-methods.ts'
import { Publisher } from './publisher.ts'
import { noRefusals, type Refusal } from './refusals.ts'
import { type HubSettings, settingsOf } from './settings.ts'
import { TopicCommands } from './topic-commands.ts'
import { UnreadChecks } from './unread-checks.ts'

/** Max. number of users of one `isOnline()`. */
const MAX_USERS = 1_000

/**
 * Publishes and delivers events. A publish appends to the event log; each event comes from the log's tail and is delivered
 * then. The hub knows nothing of HTTP: streams are opened on sinks.
 */
export class Hub<Events extends object = EventMap> extends PublishMethods<Events> {
  readonly options: ResolvedOptions
  /** @internal Opens, feeds and closes the streams of this node. */
  readonly manager: StreamManager
  /** @internal */
  readonly cluster: Cluster
  /** @internal Changes topics that clients request. */
  readonly topicCommands: TopicCommands
  /** @internal Undefined without the option `unreadAfter`. */
  readonly unreadChecks: UnreadChecks | undefined
  readonly #localNode: NodeStreams
  readonly #events: HubEvents
  readonly #presence: Presence
  /** @internal */
  protected override readonly publisher: Publisher
  readonly #drainDelay: DrainDelay
  readonly #refused = noRefusals()
  readonly #furtherStats: Record<string, () => object> = {}
  #started: Promise<void> | undefined
  #isStarted = false
  #disposed: Promise<void> | undefined

  /** @throws {InvalidOptionError} */
  constructor(options: HubOptions, logger: Logger) {
    const resolved = resolveOptions(options)
    const log = resolved.log ?? new MemoryLog(resolved)
    super(log)
    this.options = resolved
    this.#events = new HubEvents(logger)
    this.cluster = this.options.cluster ?? singleNode(this.options.clock)
    const parts = { log, cluster: this.cluster, options: this.options, logger }
    const listener: StreamListener = {
      onOpen: (stream) => this.#events.emit('open', stream),
      onClose: (stream, reason) => this.#events.emit('close', stream, reason)
    }
    const streamsOf = (user: string) => this.manager.registry.ofUser(user)
    const unread = new UnreadNotices<EventStream>({ log, clock: resolved.clock, logger, streamsOf })
    this.manager = new StreamManager({ ...parts, listener, unread })
    const watcher = new PresenceReporter(this.#events, this.manager)
    this.topicCommands = new TopicCommands({ ...parts, manager: this.manager })
    this.#localNode = new NodeStreams(this.manager.registry, this.options, logger, watcher, this.topicCommands)
    this.#presence = new Presence(this.manager.registry, this.cluster)
    this.#drainDelay = new DrainDelay(this.options.clock)
    this.publisher = new Publisher({ ...parts, events: this.#events, presence: this.#presence })
    if (resolved.unreadAfter > 0) {
      this.unreadChecks = new UnreadChecks({ ...parts, events: this.#events })
      this.publisher.outboxes.push(this.unreadChecks)
    }
  }

  /** Begins to read the log's tail, and joins the cluster. Nothing is delivered before. */
  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  async #start(): Promise<void> {
    await this.manager.start()
    await this.cluster.join(this.#localNode)
    this.#isStarted = true
    if (this.#events.has('unread')) this.unreadChecks?.start()
  }

  /** @internal Opens a stream on a sink; see {@link StreamManager.open}. */
  open(sink: Sink, opening: StreamRequest): EventStream {
    return this.manager.open(sink, opening)
  }

  /**
   * Closes all streams of a user, or one stream, on any node. They are closed for good (`kicked`): an event source that
   * reconnects by itself is answered 204. With `reconnect: true` the clients may reconnect.
   * @returns the number of closed streams. A node that does not answer within two seconds is not counted; it closes them
   * later.
   * @throws {ClusterUnavailableError} when other nodes may not have received the command. The streams of this node are
   * closed.
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
    // Also if this node seems to be the only one: a node that is cut off executes the command when it is back.
    return isDone ? here : here + (await this.cluster.close(command))
  }

  /**
   * Asks `authorizeTopic` again about the topics that the user's clients have requested, for each open stream on any node. A
   * stream loses the topics that are forbidden now; it is closed, and may reconnect, if `authorizeTopic` rejects the identity
   * (`expired`) or does not answer (`error`), or if it follows a topic that is forbidden. Topics that the host or
   * `authenticate` has granted stay: `disconnect(user, { reconnect: true })` has the identity read anew.
   * @returns the number of streams that lost a topic, or were closed.
   * @throws {ClusterUnavailableError} when not all nodes have answered. A node executes the command when it receives it.
   */
  async reauthorize(user: string): Promise<number> {
    userChannel(user)
    return this.topicCommands.reauthorize(user)
  }

  /**
   * Whether the user has an open stream, on any node.
   * @throws {ClusterUnavailableError} when the other nodes cannot be reached, unless this node has a stream of the user.
   */
  async isOnline(user: string): Promise<boolean>
  /**
   * Whether each of up to 1,000 users has an open stream, on any node: one round trip, however many they are.
   * @throws {InvalidRequestError} for more users.
   * @throws {ClusterUnavailableError} when the other nodes cannot be reached, unless this node has a stream of every user.
   */
  async isOnline(users: readonly string[]): Promise<Map<string, boolean>>
  async isOnline(user: string | readonly string[]): Promise<boolean | Map<string, boolean>> {
    if (!Array.isArray(user)) {
      userChannel(user as string)
      return this.#presence.isOnline(user as string)
    }
    if (user.length > MAX_USERS)
      throw new InvalidRequestError(`isOnline() takes at most ${MAX_USERS} users; got ${user.length}`)
    for (const name of user) userChannel(name)
    return this.#presence.areOnline(user)
  }

  /**
   * How many streams listen to a topic, on all nodes; none to a topic that nobody has used.
   * @throws {ClusterUnavailableError}
   */
  async topic(topic: string): Promise<TopicListeners> {
    topicChannel(topic)
    return this.#presence.topic(topic)
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
   * @internal The streams of a user, on all nodes, with the delivery and the address of those on this node: for operators alone.
   * @throws {ClusterUnavailableError}
   */
  async inspect(user: string): Promise<InspectedStream[]> {
    userChannel(user)
    return this.#presence.inspect(user, () => this.manager.head)
  }

  /**
   * A page of the users who are online on any node, in the order of their names.
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
   * Reads the retained events of a user, of a topic, or for everyone, the oldest first.
   * @throws {InvalidRequestError} for a limit outside 1 to 1,000. An `after` that the log does not know is not an error: the
   * page begins with the oldest retained event, and `complete` is false.
   */
  async history(of: HistoryOf, query: HistoryQuery = {}): Promise<HistoryPage> {
    await this.pageTurns.next()
    return readHistory(this.log, of, query)
  }

  /**
   * The current head of the event log. A page that is rendered with it, and passes it to its event source as `lastEventId`,
   * misses no event that is published until the stream is open.
   * @throws {LogUnavailableError} until the event log has been reached.
   */
  cursor(): string {
    if (!this.manager.isHeadKnown)
      throw new LogUnavailableError('The event log has not been reached yet. Try again later')
    return formatCursor(this.manager.head)
  }

  /** @internal Stores entries of the outbox together with events that are published from now on. */
  use(outbox: Outbox, name: string, stats: () => object): void {
    this.publisher.outboxes.push(outbox)
    this.#furtherStats[name] = stats
  }

  /** @internal Counts a request or connection that was refused before a stream was opened. */
  countRefusal(reason: Refusal): void {
    this.#refused[reason]++
  }

  /** Counts of this node, and the number of streams and users of all nodes. Its cost does not grow with them. */
  stats(): HubStats {
    const { opened, closed, rejected, registry, online } = this.manager
    return {
      streams: registry.size,
      users: registry.users,
      cluster: online,
      published: this.publisher.published,
      opened,
      closed: { ...closed },
      refused: { ...this.#refused, ...rejected },
      log: this.log.stats(),
      ...Object.fromEntries(Object.entries(this.#furtherStats).map(([name, read]) => [name, read()]))
    }
  }

  /** @internal The streams of this node by state, and the number of live nodes. Takes a millisecond for 50,000 streams. */
  observe(): { states: StreamStates; nodes: number } {
    return { states: countStates(this.manager.registry.all()), nodes: this.cluster.membership?.nodes ?? 1 }
  }

  /** @internal The options in force. */
  settings(): HubSettings {
    return settingsOf(this.options)
  }

  /**
   * @internal Begins to measure, and returns the function that reads everything that metrics show. Before that nothing is
   * measured but counts.
   */
  measure(): () => Promise<HubMeasures> {
    this.publisher.measures ??= new AppendMeasures(() => this.manager.now)
    const appends = this.publisher.measures
    const writes = this.manager.measureWrites()
    return async () => {
      const { counts, registry, heartbeatLag } = this.manager
      const { isSettled, membership } = this.cluster
      const stats = this.stats()
      return {
        stats,
        isReady: await this.ready(),
        states: countStates(registry.all()),
        deliveries: counts,
        deduplicated: appends.deduplicated,
        appendErrors: appends.errors,
        appendLatency: appends.latency,
        writeLatency: writes.histogram,
        heartbeatLag,
        log: stats.log,
        roundTrips: (this.log as Partial<MeasuredConnection>).roundTrips,
        cluster: { isSettled, nodes: membership?.nodes ?? 1, leaseAge: membership?.leaseAge ?? 0 }
      }
    }
  }

  /** @internal Reports publications and deliveries to a tracer from now on. */
  trace(tracing: EventTracing): void {
    this.publisher.tracing = tracing
    this.manager.traceDeliveries(tracing)
  }

  /** @internal Undefined until {@link Hub.trace} is called. */
  get tracing(): EventTracing | undefined {
    return this.publisher.tracing
  }

  /** Readiness: whether the hub accepts events and opens streams now. */
  async ready(): Promise<boolean> {
    if (this.manager.isClosing || this.#drainDelay.hasBegun) return false
    const log = this.log as EventLog & Partial<HealthCheck>
    return log.ready === undefined || (await log.ready())
  }

  on<Name extends keyof HubEventMap>(name: Name, listener: (...args: HubEventMap[Name]) => unknown): this {
    this.#events.on(name, listener)
    if (name === 'unread' && this.#isStarted) this.unreadChecks?.start()
    return this
  }

  off<Name extends keyof HubEventMap>(name: Name, listener: (...args: HubEventMap[Name]) => unknown): this {
    this.#events.off(name, listener)
    return this
  }

  /**
   * Closes every stream (`shutdown`) and opens no new one. Publishing goes on until {@link Hub.dispose}.
   *
   * With a `delay` readiness ends at once, and the hub serves on until the delay is over. A call without a delay, as
   * `app.close()` makes, ends the delay.
   * @throws {InvalidOptionError}
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    const delay = this.#drainDelay.begin(options)
    if (delay !== undefined) await delay
    await this.manager.drain()
  }

  /**
   * Drains, leaves the cluster, and closes the log. Each step is taken even if the one before it failed.
   * @throws {Error} the error of a failed step, after all steps; of several, the last one.
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
        await this.unreadChecks?.stop()
      } finally {
        await this.#leave()
      }
    }
  }

  async #leave(): Promise<void> {
    try {
      await this.cluster.leave()
    } finally {
      await this.log.close()
    }
  }
}
