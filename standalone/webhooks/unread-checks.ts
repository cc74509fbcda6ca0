import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../../services/clock.ts'
import { inboxChannel, userOfInbox } from '../../services/events/channel.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import type { Hub } from '../../services/hub/hub.ts'
import { readStateOf } from '../../services/inbox/unread.ts'
import { type Consume, LoggedQueue, type QueueEntry } from '../../services/queues/logged-queue.ts'
import { type EventData, eventBehind, eventData } from './webhook-messages.ts'

export interface UnreadParts {
  readonly hub: Pick<Hub, 'log' | 'cluster'>
  readonly clock: Clock
  readonly logger: Pick<FastifyBaseLogger, 'warn' | 'error'>
  /** How long an event may stay unread, in milliseconds. */
  readonly after: number
  /** Creates the entry that is stored together with the end of the check. */
  readonly entryFor: (event: EventData) => NewEvent
}

/** The content of an entry. The event is at this distance behind it. */
interface Check {
  readonly users: readonly string[]
  readonly distance: number
}

/**
 * Checks, a time after an event was filed in inboxes, which users have not read it. The checks stand in a queue of their own: all events
 * wait equally long, so their order is that of their deadlines.
 */
export class UnreadChecks {
  /** Checks that were dropped because their event was evicted. */
  dropped = 0
  readonly #parts: UnreadParts
  readonly #queue: LoggedQueue

  constructor(parts: UnreadParts) {
    this.#parts = parts
    const { log, cluster } = parts.hub
    const { clock, logger } = parts
    this.#queue = new LoggedQueue({ name: 'unread', log, cluster, clock, logger })
  }

  get length(): number {
    return this.#queue.length
  }

  get gaps(): number {
    return this.#queue.gaps
  }

  /** The entry for an event, or undefined if the event is for no inbox. */
  entryFor({ channels, transient }: NewEvent, distance: number): NewEvent | undefined {
    const users = channels.flatMap((channel) => userOfInbox(channel) ?? [])
    if (transient || users.length === 0) return undefined
    return this.#queue.entry(JSON.stringify({ users, distance } satisfies Check))
  }

  notify(): void {
    this.#queue.notify()
  }

  start(): void {
    this.#queue.start((entry) => this.#check(entry))
  }

  stop(): Promise<void> {
    return this.#queue.stop()
  }

  async #check(entry: QueueEntry): ReturnType<Consume> {
    const { hub, clock, logger, after, entryFor } = this.#parts
    // Events and restarts share wall-clock time only.
    const remaining = entry.time + after - clock.now()
    if (remaining > 0) return remaining
    const { users, distance } = JSON.parse(entry.data) as Check
    const event = await eventBehind(hub.log, entry.cursor, distance, users.map(inboxChannel))
    if (event === 'superseded') return []
    if (event === 'evicted') {
      this.dropped++
      logger.error(
        { dropped: this.dropped },
        'an event was evicted from its inbox before the hub checked whether it was read'
      )
      return []
    }
    const seq = event.cursor?.seq ?? 0
    const states = await Promise.all(users.map((user) => readStateOf(hub.log, user)))
    const unread = users.filter(
      (user, at) => (states[at]?.upTo.seq ?? 0) < seq && event.channels.includes(inboxChannel(user))
    )
    if (unread.length === 0) return []
    return [entryFor(eventData(event, unread))]
  }
}
