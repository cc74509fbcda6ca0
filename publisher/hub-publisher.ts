import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { EventDraft, EventMap } from '../services/events/draft.ts'
import type { Target } from '../services/events/target.ts'
import { type BatchAnswer, type Receipt, sendBatch } from './batch-request.ts'
import { EventQueue, type QueuedEvent } from './event-queue.ts'
import { PublisherError } from './publisher-error.ts'
import { type PublisherOptions, type ResolvedPublisherOptions, resolvePublisherOptions } from './publisher-options.ts'

/** Half of the largest batch that a hub takes, for data that grows in JSON. */
const MAX_BATCH_BYTES = 4_194_304
/** The delay before the second attempt, which doubles with each, and its max., in milliseconds; half of it is random. */
const MIN_DELAY = 100
const MAX_DELAY = 5_000
/** Statuses that one event of a batch may cause. */
const OF_ONE_EVENT: ReadonlySet<number | undefined> = new Set([400, 403, 413, 422])

/**
 * Publishes to a hub over HTTP, from a worker, a cron job or another service. Events leave in the order of the calls, one request
 * at a time, and those that wait meanwhile leave together. Each has an idempotency key, so that an event that is tried again is
 * published once.
 */
export class HubPublisher<Events extends object = EventMap> {
  readonly #options: ResolvedPublisherOptions
  readonly #queue: EventQueue
  /** Ends the wait before a retry. */
  readonly #stop = new AbortController()
  #sending: Promise<void> | undefined
  #isClosed = false
  /** The shortest wait that the hub has asked for, in milliseconds. */
  #retryAfter = 0

  /** @throws {TypeError} for an invalid option. */
  constructor(options: PublisherOptions) {
    this.#options = resolvePublisherOptions(options)
    this.#queue = new EventQueue(this.#options.maxQueued, this.#options.maxQueuedBytes)
  }

  /** The number of events that wait for their receipt. */
  get queued(): number {
    return this.#queue.length
  }

  /** Publishes an event to one or several users. Rejects with a {@link PublisherError}. */
  send(user: string | readonly string[], draft: EventDraft<Events>): Promise<Receipt> {
    return this.#add({ users: [user].flat() }, draft)
  }

  /** Publishes an event to one or several topics. Rejects with a {@link PublisherError}. */
  publish(topic: string | readonly string[], draft: EventDraft<Events>): Promise<Receipt> {
    return this.#add({ topics: [topic].flat() }, draft)
  }

  /** Publishes an event to everyone. Rejects with a {@link PublisherError}. */
  broadcast(draft: EventDraft<Events>): Promise<Receipt> {
    return this.#add({ everyone: true }, draft)
  }

  /** Publishes an event to any target. Rejects with a {@link PublisherError}. */
  publishTo(target: Target, draft: EventDraft<Events>): Promise<Receipt> {
    return this.#add(target, draft)
  }

  /** Resolves when another event may be published: await it in a loop that does not await its receipts. */
  room(): Promise<void> {
    return this.#queue.room()
  }

  /** Resolves when no event waits any more. */
  async flush(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending
  }

  /** Publishes the events that wait, and takes no more. After `within` milliseconds the rest is rejected with `CLOSED`. */
  async close({ within = 30_000 }: { readonly within?: number } = {}): Promise<void> {
    this.#isClosed = true
    const timer = setTimeout(() => this.#stop.abort(), within)
    await this.flush()
    clearTimeout(timer)
  }

  #add(to: Target, draft: EventDraft<Events>): Promise<Receipt> {
    if (this.#isClosed) return Promise.reject(new PublisherError('CLOSED', 'the publisher was closed'))
    if (this.#queue.isFull)
      return Promise.reject(
        new PublisherError('QUEUE_FULL', 'too many events wait for the hub; await room() before a call')
      )
    let json: string
    try {
      json = JSON.stringify({ idempotencyKey: randomUUID(), ...draft, to })
    } catch (cause) {
      return Promise.reject(new PublisherError('SSE_HUB_ERR_INVALID_DATA', 'the data is no JSON', { cause }))
    }
    const deadline = performance.now() + this.#options.retryFor
    return new Promise((resolve, reject) => {
      this.#queue.add({ json, bytes: Buffer.byteLength(json), deadline, resolve, reject })
      // Events of one turn of the event loop leave together.
      this.#sending ??= Promise.resolve().then(() => this.#sendAll())
    })
  }

  async #sendAll(): Promise<void> {
    let failures = 0
    while (this.#queue.length > 0) {
      const batch = this.#queue.first(this.#options.maxBatch, MAX_BATCH_BYTES)
      const rest = await this.#sendOnce(batch)
      failures = rest === 0 ? 0 : failures + 1
      if (rest > 0) await this.#backOff(failures)
      if (this.#stop.signal.aborted) this.#giveUp()
    }
    this.#sending = undefined
  }

  /** Sends a batch, the first events of the queue, and settles them. Returns how many of them, the last ones, are to be sent again. */
  async #sendOnce(batch: readonly QueuedEvent[]): Promise<number> {
    const answer: BatchAnswer = await sendBatch(
      batch.map(({ json }) => json),
      this.#options
    )
    if ('receipts' in answer) {
      this.#queue.remove(batch.length)
      for (const [at, { resolve }] of batch.entries()) resolve(answer.receipts[at] as Receipt)
      return 0
    }
    const { error, retryAfter } = answer
    if (retryAfter !== undefined) {
      this.#retryAfter = retryAfter
      return this.#rejectLate(batch, error)
    }
    if (batch.length === 1 || !OF_ONE_EVENT.has(error.status)) {
      this.#queue.remove(batch.length)
      for (const { reject } of batch) reject(error)
      return 0
    }
    // The hub takes all events of a batch or none: the halves show which event it does not take.
    const middle = Math.ceil(batch.length / 2)
    const rest = await this.#sendOnce(batch.slice(0, middle))
    return rest > 0 ? rest + batch.length - middle : this.#sendOnce(batch.slice(middle))
  }

  /** Rejects events whose time is over. They are the first ones, because all have the same time. */
  #rejectLate(batch: readonly QueuedEvent[], error: PublisherError): number {
    const now = performance.now()
    const late = batch.filter(({ deadline }) => deadline <= now)
    this.#queue.remove(late.length)
    for (const { reject } of late) reject(error)
    return batch.length - late.length
  }

  async #backOff(failures: number): Promise<void> {
    const delay = Math.min(MAX_DELAY, MIN_DELAY * 2 ** Math.min(failures - 1, 10)) * (0.5 + this.#options.random() / 2)
    const { signal } = this.#stop
    // Aborted by `close()`, which gives up the events.
    await wait(Math.min(60_000, Math.max(delay, this.#retryAfter)), undefined, { signal }).catch(() => undefined)
  }

  #giveUp(): void {
    const batch = this.#queue.first(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    this.#queue.remove(batch.length)
    for (const { reject } of batch)
      reject(new PublisherError('CLOSED', 'the publisher was closed before the hub took the event'))
  }
}
