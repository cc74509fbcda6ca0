import type { Clock } from '../clock.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { inboxChannel, userOfInbox } from '../events/channel.ts'
import type { NewEvent } from '../events/log-event.ts'
import { readStateOf } from '../inbox/unread.ts'
import type { Logger } from '../logger.ts'
import { eventBehind } from '../queues/event-behind.ts'
import { type Consume, LoggedQueue, type QueueEntry } from '../queues/logged-queue.ts'
import type { HubEvents, Unread } from './hub-events.ts'
import type { Outbox } from './outbox.ts'

export interface UnreadCheckParts {
  readonly log: EventLog
  readonly cluster: Pick<Cluster, 'hold' | 'release'>
  readonly events: HubEvents
  readonly logger: Logger
  readonly options: { readonly clock: Clock; readonly unreadAfter: number }
}

/** Creates an entry of another queue, which is stored together with the end of the check. */
export type EntryForUnread = (unread: Unread, trace: string | undefined) => NewEvent

/** The content of an entry. The event is at this distance behind it. */
interface Check {
  readonly users: readonly string[]
  readonly distance: number
}

/**
 * Checks, a time after an event was filed in inboxes, which users have not read it. The checks stand in a queue of their own:
 * all events wait equally long, so their order is that of their deadlines.
 */
export class UnreadChecks implements Outbox {
  readonly needsOffline = false
  /** Checks that were dropped because their event was evicted. */
  dropped = 0
  readonly #parts: UnreadCheckParts
  readonly #queue: LoggedQueue
  #entryForUnread: EntryForUnread | undefined
  #isStarted = false

  constructor(parts: UnreadCheckParts) {
    this.#parts = parts
    const { log, cluster, logger, options } = parts
    this.#queue = new LoggedQueue({ name: 'unread', log, cluster, clock: options.clock, logger })
  }

  /** How many events wait for their check, on the node that checks; 0 on others. */
  get length(): number {
    return this.#queue.length
  }

  get gaps(): number {
    return this.#queue.gaps
  }

  /** The entry for an event, unless the event is for no inbox. */
  entriesFor({ channels, transient }: NewEvent, _offline: readonly string[], between: number): readonly NewEvent[] {
    const users = channels.flatMap((channel) => userOfInbox(channel) ?? [])
    if (transient || users.length === 0) return []
    return [this.#queue.entry(JSON.stringify({ users, distance: between + 1 } satisfies Check))]
  }

  onAppended(): void {
    this.#queue.notify()
  }

  /** Stores an entry for each unread event. */
  store(entryForUnread: EntryForUnread): void {
    this.#entryForUnread = entryForUnread
    this.start()
  }

  /** Offers to check. Of all nodes that do, one checks. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#queue.start((entry) => this.#check(entry))
  }

  async stop(): Promise<void> {
    if (this.#isStarted) await this.#queue.stop()
  }

  async #check(entry: QueueEntry): ReturnType<Consume> {
    const { log, events, logger, options } = this.#parts
    // Events and restarts share wall-clock time only.
    const remaining = entry.time + options.unreadAfter - options.clock.now()
    if (remaining > 0) return remaining
    const { users, distance } = JSON.parse(entry.data) as Check
    const found = await eventBehind(log, entry.cursor, distance, users.map(inboxChannel))
    if (found === 'superseded') return []
    if (found === 'evicted') {
      this.dropped++
      logger.error(
        { dropped: this.dropped },
        'an event was evicted from its inbox before the hub checked whether it was read'
      )
      return []
    }
    const seq = found.cursor?.seq ?? 0
    const states = await Promise.all(users.map((user) => readStateOf(log, user)))
    const isUnread = (user: string, at: number) =>
      (states[at]?.upTo.seq ?? 0) < seq && found.channels.includes(inboxChannel(user))
    const unread = { users: users.filter(isUnread), id: found.id as string, event: found.event, data: found.data }
    if (unread.users.length === 0) return []
    events.emit('unread', unread)
    return this.#entryForUnread === undefined ? [] : [this.#entryForUnread(unread, found.trace)]
  }
}
