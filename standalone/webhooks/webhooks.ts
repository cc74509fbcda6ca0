import type { FastifyBaseLogger } from 'fastify'
import type { NewEvent } from '../../services/events/log-event.ts'
import type { Hub } from '../../services/hub/hub.ts'
import type { Outbox } from '../../services/hub/outbox.ts'
import { LoggedQueue } from '../../services/queues/logged-queue.ts'
import { QueueWriter } from '../../services/queues/queue-writer.ts'
import { type DeliveryParts, WebhookDeliveries } from './webhook-deliveries.ts'
import type { Notice } from './webhook-messages.ts'

export interface WebhookParts extends Pick<DeliveryParts, 'signers' | 'receiver'> {
  readonly hub: Hub
  readonly logger: Pick<FastifyBaseLogger, 'warn' | 'error'>
}

export interface WebhookStats {
  /** Messages that wait, on the node that delivers; 0 on others. */
  readonly queued: number
  /** Events in inboxes whose time to be read is not over, on the node that checks them. */
  readonly unreadChecks: number
  /** Counts of this node since its start. */
  readonly delivered: number
  readonly failed: number
  readonly dropped: number
  /** How often messages were evicted before they were delivered. */
  readonly gaps: number
  readonly disabled: boolean
}

/** How long a stop waits for the response to a request in flight, in milliseconds. */
const STOP_WITHIN = 3_000

/** Reports presence and undelivered events to an HTTP receiver. The queue of its messages is a part of the event log. */
export class Webhooks implements Outbox {
  readonly needsOffline = true
  readonly #queue: LoggedQueue
  readonly #writer: QueueWriter
  readonly #deliveries: WebhookDeliveries
  readonly #checks: Hub['unreadChecks']

  constructor({ hub, logger, signers, receiver }: WebhookParts) {
    const { log, cluster, tracing } = hub
    const { clock } = hub.options
    this.#queue = new LoggedQueue({ name: 'webhooks', log, cluster, clock, logger })
    this.#writer = new QueueWriter({ queue: this.#queue, log, clock, logger })
    this.#deliveries = new WebhookDeliveries({ log, clock, logger, signers, receiver, tracing })
    this.#checks = hub.unreadChecks
    hub.use(this, 'webhooks', () => this.stats())
    hub.on('online', ({ user, at }) => this.#add({ type: 'user.online', user, at }))
    hub.on('offline', ({ user, at }) => this.#add({ type: 'user.offline', user, at }))
  }

  start(): void {
    this.#checks?.store((unread, trace) => this.#entry({ type: 'event.unread', ...unread }, trace))
    this.#queue.start((entry) => this.#deliveries.deliver(entry))
  }

  /** A message that is not delivered by then stays in the queue. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#deliveries.close(), STOP_WITHIN)
    await this.#writer.stop()
    await this.#queue.stop()
    clearTimeout(timer)
    this.#deliveries.close()
  }

  stats(): WebhookStats {
    const { delivered, failed, dropped, isDisabled } = this.#deliveries
    return {
      queued: this.#queue.length,
      unreadChecks: this.#checks?.length ?? 0,
      delivered,
      failed,
      dropped: dropped + this.#writer.dropped + (this.#checks?.dropped ?? 0),
      gaps: this.#queue.gaps + (this.#checks?.gaps ?? 0),
      disabled: isDisabled
    }
  }

  /** Transient events get no message: they are for streams that are open, and nobody can read them later. */
  entriesFor(event: NewEvent, offline: readonly string[]): readonly NewEvent[] {
    const isMissed = !event.transient && offline.length > 0
    return isMissed ? [this.#entry({ type: 'event.undelivered', users: offline }, event.trace)] : []
  }

  onAppended(): void {
    this.#queue.notify()
  }

  #entry(notice: Notice, trace: string | undefined): NewEvent {
    return this.#queue.entry(JSON.stringify(notice), trace)
  }

  #add(notice: Notice): void {
    this.#writer.add(JSON.stringify(notice))
  }
}
