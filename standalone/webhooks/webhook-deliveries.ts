import type { FastifyBaseLogger } from 'fastify'
import type { Webhook } from 'standardwebhooks'
import type { Clock } from '../../services/clock.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import type { EventTracing } from '../../services/events/trace.ts'
import type { Consume, QueueEntry } from '../../services/queues/logged-queue.ts'
import { messageOf, type WebhookMessage } from './webhook-messages.ts'
import { type WebhookReceiver, WebhookRequests, type WebhookResponse } from './webhook-request.ts'

export interface DeliveryParts {
  readonly log: EventLog
  readonly clock: Clock
  readonly logger: Pick<FastifyBaseLogger, 'warn' | 'error'>
  readonly signers: readonly Pick<Webhook, 'sign'>[]
  readonly receiver: WebhookReceiver
  readonly tracing?: EventTracing | undefined
}

/** The delay before the second attempt, which doubles with each failure, and its max., in milliseconds; half of it is random. */
const MIN_DELAY = 1_000
const MAX_DELAY = 300_000
/** How many failure responses a message gets before it is dropped: about an hour with the delays above. */
const MAX_REFUSALS = 20
const GONE = 410

type Outcome = Awaited<ReturnType<Consume>>
const DONE: Outcome = []
/** Responses that say that the receiver is unavailable, and nothing about the message: that waits as long as it is retained. */
const UNAVAILABLE = new Set([429, 502, 503, 504])

/** The message in delivery, and how many failure responses it got. */
interface Delivery {
  readonly entry: string
  /** The trace of the event that it is about. */
  readonly trace: string | undefined
  readonly message: WebhookMessage
  refusals: number
}

/** Delivers the entries of the queue, and decides when to try again. */
export class WebhookDeliveries {
  delivered = 0
  /** Attempts without success. */
  failed = 0
  dropped = 0
  /** Whether the receiver answered 410. */
  isDisabled = false
  readonly #parts: DeliveryParts
  readonly #requests: WebhookRequests
  #current: Delivery | undefined
  /** Number of consecutive failures. */
  #failures = 0

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    this.#requests = new WebhookRequests(parts.receiver)
  }

  /** Delivers an entry: see `Consume`. */
  async deliver(entry: QueueEntry): Promise<Outcome> {
    if (this.isDisabled) return MAX_DELAY
    if (this.#current?.entry !== entry.id) {
      const message = await messageOf(this.#parts.log, entry)
      if (message === 'superseded') return DONE
      if (message === 'evicted') return this.#drop('its event was evicted before it was delivered', {})
      this.#current = { entry: entry.id, trace: entry.trace, message, refusals: 0 }
    }
    return this.#attempt(this.#current)
  }

  /** Ends an attempt that is in flight. */
  close(): void {
    this.#requests.close()
  }

  async #attempt(current: Delivery): Promise<Outcome> {
    const { message } = current
    let response: WebhookResponse
    try {
      response = await this.#post(current)
    } catch (error) {
      // Only the code: the message of an error may contain the URL.
      return this.#retry(message, { code: (error as NodeJS.ErrnoException).code })
    }
    const { status, retryAfter } = response
    if (status >= 200 && status < 300) return this.#succeed()
    if (status === GONE) return this.#disable()
    if (!UNAVAILABLE.has(status) && ++current.refusals >= MAX_REFUSALS) {
      this.failed++
      return this.#drop(`the receiver refused it ${MAX_REFUSALS} times`, {
        message: message.id,
        type: message.type,
        status
      })
    }
    return this.#retry(message, { status }, retryAfter)
  }

  #post({ message, trace }: Delivery): Promise<WebhookResponse> {
    const { tracing } = this.#parts
    const headers = this.#headersOf(message)
    if (tracing === undefined) return this.#requests.post(headers, message.body)
    const { id, type, body } = message
    return tracing.request({ id, type, trace }, (context) => this.#requests.post({ ...headers, ...context }, body))
  }

  #headersOf({ id, body }: WebhookMessage): Record<string, string> {
    const { clock, signers } = this.#parts
    const time = new Date(clock.now())
    return {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(time.getTime() / 1_000)),
      'webhook-signature': signers.map((signer) => signer.sign(id, time, body)).join(' ')
    }
  }

  #succeed(): Outcome {
    this.delivered++
    if (this.#failures > 0) this.#parts.logger.warn({ failures: this.#failures }, 'webhooks are delivered again')
    this.#failures = 0
    this.#current = undefined
    return DONE
  }

  #drop(why: string, details: object): Outcome {
    this.dropped++
    this.#current = undefined
    this.#parts.logger.error({ ...details, dropped: this.dropped }, `a webhook was dropped: ${why}`)
    return DONE
  }

  #disable(): number {
    this.failed++
    this.isDisabled = true
    this.#current = undefined
    this.#parts.logger.error(
      { status: GONE },
      'the receiver wants no more webhooks; this node sends none until its restart'
    )
    return MAX_DELAY
  }

  #retry({ id, type }: WebhookMessage, failure: object, retryAfter = 0): number {
    const { clock, logger } = this.#parts
    const delay = Math.min(MAX_DELAY, MIN_DELAY * 2 ** Math.min(this.#failures, 20)) * (0.5 + clock.random() / 2)
    const retryIn = Math.round(Math.max(delay, Math.min(retryAfter, MAX_DELAY)))
    this.failed++
    this.#failures++
    logger.warn(
      { message: id, type, ...failure, failures: this.#failures, retryIn },
      'a webhook was not delivered; the hub retries'
    )
    return retryIn
  }
}
