import type { Cluster, StreamEntry } from '../cluster/cluster.ts'
import { InvalidDraftError, InvalidRequestError, TooManyTopicsError, UnauthenticatedError } from '../errors.ts'
import { topicChannel, userChannel } from '../events/channel.ts'
import { randomText } from '../random.ts'
import { describe } from '../text.ts'
import { OpeningRate } from './opening-rate.ts'
import type { StreamRegistry } from './stream-registry.ts'
import { MAX_LAST, type StreamRequest } from './stream-request.ts'
import type { StreamSettings } from './stream-settings.ts'

/** Why a stream is rejected before it is opened, in a way that lets its event source come back. */
export type StreamRejection = 'limit' | 'shutdown' | 'error'

export interface AdmissionParts {
  readonly registry: StreamRegistry
  readonly cluster: Cluster
  readonly options: StreamSettings
  readonly isClosing: () => boolean
}

/** Decides whether a stream may be opened: checks the request, and enforces the limits of this node and of the cluster. */
export class Admission {
  readonly #registry: StreamRegistry
  readonly #cluster: Cluster
  readonly #options: StreamSettings
  readonly #isClosing: () => boolean
  readonly #rate: OpeningRate | undefined

  constructor({ registry, cluster, options, isClosing }: AdmissionParts) {
    this.#registry = registry
    this.#cluster = cluster
    this.#options = options
    this.#isClosing = isClosing
    this.#rate = options.openingRate === 0 ? undefined : new OpeningRate(options.openingRate)
  }

  /**
   * Checks a request before any byte is sent, while an HTTP status can still report the mistake.
   * @throws {UnauthenticatedError} when the identity has expired.
   * @throws {InvalidUserError | InvalidTopicError | TooManyTopicsError | InvalidDraftError | InvalidRequestError}
   */
  check({ user, topics = [], expiresAt, from, last, lastEventId }: StreamRequest): void {
    if (user !== null) userChannel(user)
    if (!Array.isArray(topics)) throw new InvalidDraftError(`topics is an array; got ${describe(topics)}`)
    for (const topic of topics) topicChannel(topic)
    if (topics.length > this.#options.maxTopics) throw new TooManyTopicsError(this.#options.maxTopics)
    if (last !== undefined && (!Number.isSafeInteger(last) || last < 1 || last > MAX_LAST)) {
      throw new InvalidDraftError(`last is a whole number from 1 to ${MAX_LAST}`)
    }
    if (from !== undefined && from !== 'oldest') {
      throw new InvalidRequestError(`from is "oldest", or left out; got ${describe(from)}`)
    }
    if (lastEventId !== undefined && typeof lastEventId !== 'string') {
      throw new InvalidRequestError(`lastEventId is a string, or left out; got ${describe(lastEventId)}`)
    }
    if (expiresAt === undefined) return
    if (typeof expiresAt !== 'number' || Number.isNaN(expiresAt)) {
      throw new InvalidDraftError(`expiresAt is a time in milliseconds since the epoch; got ${describe(expiresAt)}`)
    }
    if (expiresAt <= this.#options.clock.now()) throw new UnauthenticatedError()
  }

  /** Whether there is a limit per address. */
  get limitsAddresses(): boolean {
    return this.#options.maxStreamsPerAddress > 0
  }

  /** Whether the user, or the address where addresses are limited, exceeds its rate of openings. If not, counts one. */
  isTooFast(user: string | null, address: string): boolean {
    if (this.#rate === undefined) return false
    const now = this.#options.clock.monotonic()
    const isUserWithin = user === null || this.#rate.take(`u:${user}`, now)
    return !isUserWithin || (address !== '' && !this.#rate.take(`a:${address}`, now))
  }

  /** Why a stream cannot be opened now, or undefined. May close the user's oldest streams to make room. */
  admit(user: string | null, address: string): StreamRejection | undefined {
    const { maxStreams, maxStreamsPerUser, maxStreamsPerAddress, onUserLimit } = this.#options
    if (this.#isClosing()) return 'shutdown'
    if (maxStreams > 0 && this.#registry.sharedSize >= maxStreams) return 'limit'
    if (this.limitsAddresses && address !== '' && this.#registry.countOfAddress(address) >= maxStreamsPerAddress)
      return 'limit'
    if (user === null || maxStreamsPerUser === 0) return undefined
    const excess = this.#registry.countOfUser(user) - maxStreamsPerUser + 1
    if (excess <= 0) return undefined
    if (onUserLimit === 'reject') return 'limit'
    for (const oldest of [...this.#registry.ofUser(user)].slice(0, excess)) oldest.close('replaced')
    return undefined
  }

  /**
   * Counts a stream on all nodes before it is opened, where a limit of the cluster rejects streams. Resolves with the stream's
   * entry, or with undefined if there is no room. Returns undefined where no such limit applies.
   */
  reserve({ user, topics = [], follows = false }: StreamRequest): Promise<StreamEntry | undefined> | undefined {
    const { maxStreamsPerUser: limit, onUserLimit, clock } = this.#options
    if (this.#cluster.isSingleNode || onUserLimit !== 'reject' || limit === 0 || user === null) return undefined
    const entry = { id: randomText(16), user, topics, follows, since: clock.now() }
    return this.#cluster.reserve(entry, limit).then((hasRoom) => (hasRoom ? entry : undefined))
  }

  /** Releases a reservation whose stream is not opened, because its client has left or another limit refuses it. */
  release(reserved: StreamEntry): void {
    this.#cluster.closed(reserved, this.#options.presenceGrace)
  }
}
