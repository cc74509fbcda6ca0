import type { Cluster } from '../cluster/cluster.ts'
import { TOPIC_ANSWERS, type TopicCommand } from '../cluster/topic-command.ts'
import { LogUnavailableError, NotFoundError, TooManyTopicsError, TopicsFixedError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { EventStream } from '../streams/event-stream.ts'
import type { StreamManager } from '../streams/stream-manager.ts'

/** A node that was cut off does not change topics for a caller who has got an error, in milliseconds. */
const MAX_AGE = 5_000

export interface TopicCommandsParts {
  readonly manager: StreamManager
  readonly cluster: Cluster
  readonly options: { readonly maxTopics: number }
  readonly logger: Logger
}

/** Changes topics that clients request, on the node of their streams. */
export class TopicCommands {
  /** How often this node has asked the host again. */
  reauthorizations = 0
  readonly #parts: TopicCommandsParts

  constructor(parts: TopicCommandsParts) {
    this.#parts = parts
  }

  /**
   * The stream listens to these topics, and to those that the host has granted, on any node.
   * @throws {NotFoundError} also for the stream of another user.
   * @throws {TopicsFixedError | TooManyTopicsError | LogUnavailableError | ClusterUnavailableError}
   */
  async request(stream: string, user: string, requested: readonly string[]): Promise<void> {
    const command = { stream, user, requested }
    const here = await this.execute(command, 0)
    const answer = here === TOPIC_ANSWERS.noStream ? await this.#parts.cluster.changeTopics(command) : here
    if (answer === TOPIC_ANSWERS.noStream) throw new NotFoundError('open stream of this user with this id')
    if (answer === TOPIC_ANSWERS.fixed) throw new TopicsFixedError()
    if (answer === TOPIC_ANSWERS.tooMany) throw new TooManyTopicsError(this.#parts.options.maxTopics)
    if (answer !== TOPIC_ANSWERS.changed) throw new LogUnavailableError('the topics are unchanged')
  }

  /** Asks again for all streams of a user, on all nodes. Resolves with the number of streams that lost a topic, or were closed. */
  async reauthorize(user: string): Promise<number> {
    const command = { reauthorize: user }
    const [here, elsewhere] = await Promise.all([this.execute(command, 0), this.#parts.cluster.changeTopics(command)])
    return here + elsewhere
  }

  /** Executes a command on this node's streams. Never rejects. */
  async execute(command: TopicCommand, age: number): Promise<number> {
    const { registry } = this.#parts.manager
    if ('reauthorize' in command) {
      this.reauthorizations++
      const streams = [...registry.ofUser(command.reauthorize)]
      const changed = await Promise.all(streams.map((stream) => this.recheck(stream)))
      return changed.filter(Boolean).length
    }
    const stream = registry.get(command.stream)
    const isTheirs = stream !== undefined && stream.user === command.user && age <= MAX_AGE
    return isTheirs ? this.#request(stream, command.requested) : TOPIC_ANSWERS.noStream
  }

  async #request(stream: EventStream, topics: readonly string[]): Promise<number> {
    // Without a question of its own, a topic that was requested does not outlive the next question.
    stream.rights ??= { requested: [], forbidden: async (asked) => asked }
    const { rights } = stream
    let requested: readonly string[] = []
    try {
      const isChanged = await this.#parts.manager.changeTopics(stream, (current) => {
        const granted = current.filter((topic) => !rights.requested.includes(topic))
        requested = topics.filter((topic) => !granted.includes(topic))
        return [...granted, ...requested]
      })
      rights.requested = requested
      return isChanged ? TOPIC_ANSWERS.changed : TOPIC_ANSWERS.noStream
    } catch (error) {
      if (error instanceof TopicsFixedError) return TOPIC_ANSWERS.fixed
      if (error instanceof TooManyTopicsError) return TOPIC_ANSWERS.tooMany
      this.#parts.logger.warn({ err: error, stream: stream.id }, 'the topics of a stream could not be changed')
      return TOPIC_ANSWERS.failed
    }
  }

  /** Asks again for one stream. Returns whether it lost a topic, or was closed. Never rejects. */
  async recheck(stream: EventStream): Promise<boolean> {
    const { rights } = stream
    if (rights === undefined || rights.requested.length === 0) return false
    try {
      const forbidden = await rights.forbidden(rights.requested)
      // Without an answer the client returns, and the host decides then.
      if (forbidden === undefined) return stream.close('error')
      if (forbidden.length === 0) return false
      if (stream.follows) return stream.close('expired')
      rights.requested = rights.requested.filter((topic) => !forbidden.includes(topic))
      return await this.#parts.manager.changeTopics(stream, (current) =>
        current.filter((topic) => !forbidden.includes(topic))
      )
    } catch (error) {
      this.#parts.logger.warn({ err: error, stream: stream.id }, 'the identity of a stream is no longer valid')
      return stream.close('expired')
    }
  }
}
