import type { FastifyRequest } from 'fastify'
import type { Clock } from '../services/clock.ts'
import { TopicForbiddenError, UnauthenticatedError } from '../services/errors.ts'
import type { Logger } from '../services/logger.ts'
import type { TopicRights } from '../services/streams/topic-rights.ts'
import { askHost, NO_ANSWER } from './host-questions.ts'
import {
  type Authenticate,
  type AuthorizeTopic,
  identityMistake,
  isIdentity,
  type SseHubOptions,
  type StreamIdentity
} from './stream-options.ts'

export interface IdentityCheckParts {
  readonly clock: Clock
  readonly logger: Logger
  /** The functions of the hub's options; those of a call replace them. */
  readonly defaults: Pick<SseHubOptions, 'authenticate' | 'authorizeTopic'>
}

/** Asks the host for the identity of a caller and for the topics that the caller may listen to, and checks the answers. */
export class IdentityCheck {
  readonly #host: { readonly clock: Clock; readonly logger: Logger }
  readonly #authenticate: Authenticate | undefined
  readonly #authorizeTopic: AuthorizeTopic | undefined

  constructor({ clock, logger, defaults }: IdentityCheckParts) {
    this.#host = { clock, logger }
    this.#authenticate = defaults.authenticate
    this.#authorizeTopic = defaults.authorizeTopic
  }

  /** @throws {UnauthenticatedError} */
  async identify(
    request: FastifyRequest,
    { authenticate = this.#authenticate }: Pick<SseHubOptions, 'authenticate'>
  ): Promise<StreamIdentity | typeof NO_ANSWER> {
    const identity = await askHost(this.#host, 'authenticate', () => authenticate?.(request))
    return identity === NO_ANSWER ? identity : this.checked(identity, 'authenticate')
  }

  /**
   * Checks a value that the host passed or returned as an identity. The client learns only that it is not authenticated; the
   * log names the mistake.
   * @throws {UnauthenticatedError}
   */
  checked(identity: unknown, source: string): StreamIdentity {
    const mistake = identityMistake(identity, source)
    if (mistake !== undefined) this.#host.logger.error({ mistake }, `no user: ${mistake}`)
    if (!isIdentity(identity)) throw new UnauthenticatedError()
    return identity
  }

  /** @throws {TopicForbiddenError} for the first topic that the client may not have. */
  async authorize(
    request: FastifyRequest,
    identity: StreamIdentity,
    topics: readonly string[],
    { authorizeTopic = this.#authorizeTopic }: Pick<SseHubOptions, 'authorizeTopic'>
  ): Promise<typeof NO_ANSWER | undefined> {
    if (topics.length === 0) return undefined
    const forbidden = await askHost(this.#host, 'authorizeTopic', async () => {
      for (const topic of topics) if ((await authorizeTopic?.(identity, topic, request)) !== true) return topic
      return undefined
    })
    if (forbidden === undefined || forbidden === NO_ANSWER) return forbidden
    throw new TopicForbiddenError(JSON.stringify(forbidden))
  }

  /** The topics of a stream that its client has requested, and the question whether it may still have them. */
  rights(
    request: FastifyRequest,
    identity: StreamIdentity,
    requested: readonly string[],
    { authorizeTopic = this.#authorizeTopic }: Pick<SseHubOptions, 'authorizeTopic'>
  ): TopicRights | undefined {
    // Without the function a client can request no topics. The request stays in memory as long as the stream.
    if (authorizeTopic === undefined) return undefined
    const forbidden = async (topics: readonly string[]) => {
      const found = await askHost(this.#host, 'authorizeTopic', async () => {
        const refused: string[] = []
        for (const topic of topics) {
          const isGranted = identity.topics?.includes(topic) === true
          if (!isGranted && (await authorizeTopic(identity, topic, request)) !== true) refused.push(topic)
        }
        return refused
      })
      return found === NO_ANSWER ? undefined : found
    }
    return { requested, forbidden }
  }
}
