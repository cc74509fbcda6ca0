import type { Clock } from '../clock.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { LogUnavailableError, TooManyTopicsError, TopicsFixedError } from '../errors.ts'
import type { EventLog, Interest } from '../event-log/event-log.ts'
import { topicChannel } from '../events/channel.ts'
import type { Cursor } from '../events/cursor.ts'
import type { EventStream } from './event-stream.ts'
import type { StreamRegistry } from './stream-registry.ts'

/** How long a change waits for the tail to reach the head of the log, in milliseconds. */
const TAIL_WITHIN = 3_000

export interface TopicChangesParts {
  readonly log: EventLog
  readonly registry: StreamRegistry
  readonly cluster: Cluster
  readonly options: { readonly maxTopics: number; readonly clock: Clock }
  /** The newest event that the log's tail has dispatched. */
  readonly head: () => Cursor
  /** The interest of the log's tail, if it has one. */
  readonly interest: () => Interest | undefined
}

/** The new topics of a stream, from its current ones. */
export type TopicUpdate = (topics: readonly string[]) => readonly string[]

interface Waiter {
  readonly seq: number
  readonly resolve: () => void
}

/** Changes the topics of open streams. The changes of one stream take effect one after the other, in the order of the calls. */
export class TopicChanges {
  readonly #parts: TopicChangesParts
  /** The last change of each stream that has changes in progress. */
  readonly #last = new Map<EventStream, Promise<unknown>>()
  #waiters: Waiter[] = []

  constructor(parts: TopicChangesParts) {
    this.#parts = parts
  }

  /**
   * Resolves with true once the change has taken effect, and with false if the stream is closed before.
   * @throws {TopicsFixedError | TooManyTopicsError | LogUnavailableError} and then nothing has changed.
   */
  change(stream: EventStream, update: TopicUpdate): Promise<boolean> {
    const before = this.#last.get(stream) ?? Promise.resolve()
    const change = before.then(() => this.#change(stream, update))
    // The caller gets the failure; the next change does not depend on it.
    const done = change.then(
      () => undefined,
      () => undefined
    )
    this.#last.set(stream, done)
    done.then(() => {
      if (this.#last.get(stream) === done) this.#last.delete(stream)
    })
    return change
  }

  /** The tail has dispatched events. */
  onHead(seq: number): void {
    if (this.#waiters.length === 0) return
    const reached = this.#waiters.filter((waiter) => waiter.seq <= seq)
    this.#waiters = this.#waiters.filter((waiter) => waiter.seq > seq)
    for (const { resolve } of reached) resolve()
  }

  async #change(stream: EventStream, update: TopicUpdate): Promise<boolean> {
    if (stream.isClosed) return false
    if (stream.follows) throw new TopicsFixedError()
    const former = stream.topics
    const topics = [...new Set(update(former))]
    const added = topics.filter((topic) => !former.includes(topic))
    const removed = former.filter((topic) => !topics.includes(topic))
    if (added.length + removed.length === 0) return true
    const { maxTopics } = this.#parts.options
    if (added.length > 0 && topics.length > maxTopics) throw new TooManyTopicsError(maxTopics)
    if (added.length > 0 && !(await this.#prepare(stream, added))) return false
    this.#parts.interest()?.delete(removed.map(topicChannel))
    this.#parts.registry.changeTopics(stream, added, removed)
    this.#parts.cluster.changed(stream, former)
    stream.setTopics(topics, added)
    return true
  }

  /** Waits until the tail passes all later events of new topics. Resolves with false if the stream is closed before. */
  async #prepare(stream: EventStream, added: readonly string[]): Promise<boolean> {
    const channels = added.map(topicChannel)
    const interest = this.#parts.interest()
    let isReady = false
    try {
      await interest?.add(channels)
      await this.#untilTailHasAll(added)
      isReady = !stream.isClosed
    } finally {
      if (!isReady) interest?.delete(channels)
    }
    return isReady
  }

  /**
   * Resolves when the tail has dispatched every event that was appended before the call, on any node. Then the tail's head is
   * the moment of the subscription: all later events come through the tail or a replay, and no earlier one does.
   * @throws {LogUnavailableError}
   */
  async #untilTailHasAll(topics: readonly string[]): Promise<void> {
    const { log, head, options } = this.#parts
    const { next } = await log.read({ channels: topics.map(topicChannel), from: 'head', limit: 1 })
    if (head().witness !== '' && head().seq >= next.seq) return
    await new Promise<void>((resolve, reject) => {
      const stop = options.clock.every(TAIL_WITHIN, () => {
        stop()
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(new LogUnavailableError('its newest events have not arrived; the topics are unchanged'))
      })
      const waiter = {
        seq: next.seq,
        resolve: () => {
          stop()
          resolve()
        }
      }
      this.#waiters.push(waiter)
    })
  }
}
