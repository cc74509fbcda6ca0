import type { Cluster } from '../cluster/cluster.ts'
import { BatchTooLargeError, InvalidDraftError, InvalidRequestError } from '../errors.ts'
import type { EventLog, Receipt } from '../event-log/event-log.ts'
import { userOfChannel, withInboxes } from '../events/channel.ts'
import { type AnyDraft, prepareEvent, TARGETED_PROPERTIES } from '../events/draft.ts'
import { idempotencyOf } from '../events/idempotency-scope.ts'
import type { NewEvent } from '../events/log-event.ts'
import { channelsOf, exceptedUsers, type Target } from '../events/target.ts'
import type { EventTracing, TraceHeaders } from '../events/trace.ts'
import { checkNames } from '../option-checks.ts'
import type { AppendMeasures } from './append-measures.ts'
import type { HubEvents } from './hub-events.ts'
import type { Outbox } from './outbox.ts'
import type { OnlineUser, Presence } from './presence.ts'
import { type PublishReceipt, receiptOf } from './publish-receipt.ts'
import { type CountsElsewhere, countElsewhere, countedUsers } from './receiver-counts.ts'

export interface PublishOptions {
  /**
   * Name of the publisher: idempotency keys of different publishers never collide, and each publisher has its own bounds.
   * @default one without a name, the same on every node of the hub and after a restart
   */
  readonly publisher?: string | undefined
  /**
   * Users whose streams do not receive the event, at most 100: everyone on a topic but its sender. An event of a batch names
   * them in its target.
   * @default every stream of the target receives it
   */
  readonly except?: Target['except']
  /**
   * The trace that the publication continues, if no span is active: the headers of a request or of a job. Without
   * `hubTracing()` it has no effect.
   * @default the active span
   */
  readonly trace?: TraceHeaders | undefined
}

/** A draft of a batch, with its target. */
export type Targeted<Draft> = { readonly to: Target } & Draft

export interface PublisherParts {
  readonly log: EventLog
  readonly cluster: Cluster
  readonly presence: Presence
  readonly events: HubEvents
  readonly options: { readonly maxEventBytes: number; readonly maxBatch: number }
}

const PUBLISH_OPTIONS = ['publisher', 'except', 'trace']

/** An event to append, with its number of streams on this node for each of several users. */
interface Publication {
  readonly newEvent: NewEvent & { trace?: string }
  readonly users: readonly OnlineUser[] | undefined
}

/** Appends events to the log, and counts the streams that they are addressed to. */
export class Publisher {
  /** Number of accepted events. */
  published = 0
  /** Measures each append, once metrics are in use. */
  measures: AppendMeasures | undefined
  /** Reports publications to a tracer, once tracing is in use. */
  tracing: EventTracing | undefined
  /** Those whose entries stand directly before an event come last. */
  readonly outboxes: Outbox[] = []
  readonly #log: EventLog
  readonly #cluster: Cluster
  readonly #presence: Presence
  readonly #events: HubEvents
  readonly #options: PublisherParts['options']
  /** The last append that waits for the answer of other nodes. Later appends wait for it, so that the order is kept. */
  #lastPending: Promise<unknown> | undefined

  constructor({ log, cluster, presence, events, options }: PublisherParts) {
    this.#log = log
    this.#cluster = cluster
    this.#presence = presence
    this.#events = events
    this.#options = options
  }

  /** Publishes one event; see `Hub.send()`. */
  async publish(
    target: Target,
    draft: AnyDraft,
    options: PublishOptions | undefined
  ): Promise<PublishReceipt<string | null>> {
    const to = options?.except === undefined ? target : { ...target, except: options.except }
    const [receipt] = await this.#publish([this.#prepare(to, draft, options)], options)
    return receipt as PublishReceipt<string | null>
  }

  /** See `Hub.publishBatch()`. */
  publishBatch(
    drafts: readonly Targeted<AnyDraft>[],
    options: PublishOptions | undefined
  ): Promise<PublishReceipt<string | null>[]> {
    const { maxBatch } = this.#options
    if (!Array.isArray(drafts)) throw new InvalidRequestError('A batch is an array of events, each with { to, data }')
    if (drafts.length > maxBatch) throw new BatchTooLargeError(maxBatch, drafts.length)
    const publications = drafts.map((draft) => this.#prepare(draft?.to, draft, options, TARGETED_PROPERTIES))
    return this.#publish(publications, options)
  }

  #publish(
    publications: readonly Publication[],
    options: PublishOptions | undefined
  ): Promise<PublishReceipt<string | null>[]> {
    if (this.tracing === undefined || publications.length === 0) return this.#append(publications)
    const events = publications.map(({ newEvent }) => newEvent)
    return this.tracing.publish(events, options?.trace, (trace) => {
      // Nothing else has the events yet. Copies of them cost as much as the rest of an unsampled publication.
      if (trace !== undefined) for (const event of events) event.trace = trace
      return this.#append(publications)
    })
  }

  #prepare(target: Target, draft: AnyDraft, options: PublishOptions | undefined, properties?: string[]): Publication {
    if (options !== undefined) checkNames('publishing', options, PUBLISH_OPTIONS)
    const prepared = prepareEvent(draft, this.#options.maxEventBytes, properties)
    const heard = channelsOf(target)
    const except = exceptedUsers(target)
    if (except !== undefined && prepared.final)
      throw new InvalidDraftError(
        'A final event excepts no user: a stream of that user would wait for the end for ever'
      )
    const idempotency = idempotencyOf(prepared, heard, options?.publisher, except)
    const { event, data, ttl, collapseKey, transient, final, inbox } = prepared
    const streams = this.#presence.countReceivers(heard, transient, except)
    const channels = inbox ? withInboxes(heard, except) : heard
    if (channels === undefined) throw new InvalidDraftError('An event with inbox is addressed to at least one user')
    // The log stores the sum alone with an idempotency key, and a repeated receipt equals the first.
    const users = idempotency === undefined ? countedUsers(target) : undefined
    return {
      newEvent: { channels, event, data, ttl, collapseKey, idempotency, transient, final, except, streams },
      users: users?.map((user) => ({ user, streams: this.#presence.countReceivers([`u:${user}`], transient, except) }))
    }
  }

  /** Appends a batch. The counts of each publication are those of this node. */
  #append(publications: readonly Publication[]): Promise<PublishReceipt<string | null>[]> {
    const isSingleNode = this.#cluster.isSingleNode && this.#lastPending === undefined
    return isSingleNode || publications.length === 0
      ? this.#appendOnSingleNode(publications)
      : this.#appendInCluster(publications)
  }

  async #appendOnSingleNode(publications: readonly Publication[]): Promise<PublishReceipt<string | null>[]> {
    if (publications.length === 0) return []
    const events = publications.map(({ newEvent }) => newEvent)
    const offline = this.#needsOffline ? events.map((event) => this.#offlineUsers(event)) : []
    const receipts = await this.#appendToLog(events, offline)
    this.published += events.length
    this.#emitUndelivered(offline, events, receipts)
    return receipts.map((receipt, at) => receiptOf(receipt, publications[at]?.users))
  }

  async #appendInCluster(publications: readonly Publication[]): Promise<PublishReceipt<string | null>[]> {
    const events = publications.map(({ newEvent }) => newEvent)
    const counts = this.#countElsewhere(publications)
    const offline = this.#needsOffline ? this.#offlineEverywhere(events) : undefined
    const hasKey = events.some(({ idempotency }) => idempotency !== undefined)
    let counted: readonly NewEvent[] = events
    let stored: readonly string[][] = []
    const needsOffline = this.outboxes.some((outbox) => outbox.needsOffline)
    if (hasKey || needsOffline || this.#lastPending !== undefined) {
      // The log stores the first receipt with the key, and the outbox's entries with the event, so both must be complete before.
      const pending = Promise.all([counts, needsOffline ? offline : undefined, this.#lastPending])
      this.#lastPending = pending
      const [elsewhere, users = []] = await pending
      stored = users
      if (this.#lastPending === pending) this.#lastPending = undefined
      counted = events.map((event, at) => ({ ...event, streams: event.streams + (elsewhere[at]?.streams ?? 0) }))
    }
    const [receipts, elsewhere, users] = await Promise.all([this.#appendToLog(counted, stored), counts, offline])
    this.published += events.length
    if (users !== undefined) this.#emitUndelivered(users, events, receipts)
    return receipts.map((receipt, at) => {
      const { streams = 0, users: usersElsewhere = [] } = elsewhere[at] ?? {}
      const own = publications[at]?.users
      const both = own?.map((count, index) => ({ ...count, streams: count.streams + (usersElsewhere[index] ?? 0) }))
      return receiptOf(counted === events ? { ...receipt, streams: receipt.streams + streams } : receipt, both)
    })
  }

  get #needsOffline(): boolean {
    return this.#events.has('undelivered') || this.outboxes.some((outbox) => outbox.needsOffline)
  }

  /** Appends the events, each right after the outboxes' entries for it, and returns the receipts of the events. */
  async #appendToLog(events: readonly NewEvent[], offline: readonly string[][]): Promise<readonly Receipt[]> {
    if (this.outboxes.length === 0) return this.#measured(events)
    const batch = events.flatMap((event, at) => [...this.#entriesFor(event, offline[at] ?? []), event])
    if (batch.length === events.length) return this.#measured(events)
    const receipts = await this.#measured(batch)
    for (const outbox of this.outboxes) outbox.onAppended()
    const own = new Set(events)
    return receipts.filter((_receipt, at) => own.has(batch[at] as NewEvent))
  }

  #measured(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    const append = this.#log.append(events)
    this.measures?.observe(append)
    this.tracing?.append(events, append)
    return append
  }

  #entriesFor(event: NewEvent, offline: readonly string[]): readonly NewEvent[] {
    const entries: NewEvent[] = []
    for (const outbox of this.outboxes.toReversed())
      entries.unshift(...outbox.entriesFor(event, offline, entries.length))
    return entries
  }

  /** Streams of nodes that cannot be reached count as none: an outage must not prevent publishing. The cluster logs it. */
  #countElsewhere(publications: readonly Publication[]): Promise<readonly CountsElsewhere[]> {
    return countElsewhere(this.#cluster, publications).catch(() => [])
  }

  /** The users of each event who are offline on all nodes; none if that is uncertain, because the host may e-mail them. */
  async #offlineEverywhere(events: readonly NewEvent[]): Promise<string[][]> {
    const offline = events.map((event) => this.#offlineUsers(event))
    const users = [...new Set(offline.flat())]
    if (users.length === 0) return offline
    const wasSettled = this.#cluster.isSettled
    // As above: the cluster logs the failure.
    const listeners = await this.#cluster.countListeners(users.map((user) => [`u:${user}`])).catch(() => undefined)
    if (listeners === undefined || !wasSettled || !this.#cluster.isSettled) return events.map(() => [])
    const absent = new Set(users.filter((_user, at) => listeners[at] === 0))
    return offline.map((names) => names.filter((name) => absent.has(name)))
  }

  /** The users whom the event is addressed to and who have no stream on this node. */
  #offlineUsers({ channels, except }: NewEvent): string[] {
    const users = channels
      .filter((channel) => channel.startsWith('u:') && this.#presence.countListeners([channel]) === 0)
      .map((channel) => userOfChannel(channel) as string)
    return except === undefined ? users : users.filter((user) => !except.includes(user))
  }

  #emitUndelivered(offline: readonly string[][], events: readonly NewEvent[], receipts: readonly Receipt[]): void {
    offline.forEach((users, index) => {
      const { event, data } = events[index] as NewEvent
      const { id, isRepeat } = receipts[index] as Receipt
      if (!isRepeat) for (const user of users) this.#events.emit('undelivered', { user, id, event, data })
    })
  }
}
