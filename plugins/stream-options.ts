import type { FastifyRequest } from 'fastify'
import { InvalidDraftError, InvalidOptionError } from '../services/errors.ts'
import { isName } from '../services/events/channel.ts'
import { HUB_OPTION_NAMES, type HubOptions } from '../services/hub/options.ts'
import { checkFunction, checkNames, REGISTER_OPTIONS } from '../services/option-checks.ts'
import { describe } from '../services/text.ts'

/** The user of a stream, from `authenticate` or from the host. */
export interface StreamIdentity {
  /** A well-formed string of 1 to 256 bytes. Anything else is answered 401. */
  readonly user: string
  /** Topics that the stream listens to. */
  readonly topics?: readonly string[] | undefined
  /** Time at which the identity expires, in milliseconds since the epoch; the stream is closed by then. */
  readonly expiresAt?: number | undefined
}

/** Identifies the caller; null or undefined if the caller is not authenticated. */
export type Authenticate = (
  request: FastifyRequest
) => StreamIdentity | null | undefined | Promise<StreamIdentity | null | undefined>

/** Whether the user may listen to a topic that the client requests. */
export type AuthorizeTopic = (
  identity: StreamIdentity,
  topic: string,
  request: FastifyRequest
) => boolean | Promise<boolean>

export interface SseHubOptions extends HubOptions {
  /**
   * Identifies the caller of `GET /events`, and of `connect()` without a `user`. It may take five seconds. If it throws an
   * error whose `statusCode` is final (401, 403, …), that is the response; any other failure is a retryable rejection.
   * @default undefined: `connect()` needs a `user`
   */
  readonly authenticate?: Authenticate | undefined
  /**
   * Decides about topics that a client requests; topics that the host or `authenticate` names are granted. It may take five
   * seconds for all topics of a request.
   * @default undefined: a client may request no topics
   */
  readonly authorizeTopic?: AuthorizeTopic | undefined
  /**
   * Admits new connections at the pace at which they can be served, so that thousands of event sources that reconnect at once
   * do not delay open streams. It takes over the `connection` listeners of the app's HTTP server, so it is off by default;
   * the standalone hub turns it on. It has no effect on a TLS server.
   * @default false
   */
  readonly paceConnections?: boolean | undefined
}

/** The start of a stream. The client's last event ID wins over `from` and `last`. */
export interface ConnectOptions {
  /** Begins with the oldest retained event of the stream's channels, so that a new device receives the history. */
  readonly from?: 'oldest' | undefined
  /** Begins with the newest events: their number, 1 to 1,000. */
  readonly last?: number | undefined
  /** Begins after this cursor; wins over the client's last event ID. */
  readonly lastEventId?: string | undefined
  /** Topics that the client requests: `authorizeTopic` decides. */
  readonly requestedTopics?: readonly string[] | undefined
  /** Replaces the hub's `authenticate`. */
  readonly authenticate?: Authenticate | undefined
  /** Replaces the hub's `authorizeTopic`. */
  readonly authorizeTopic?: AuthorizeTopic | undefined
}

/** Options of a finite stream. */
export interface StreamOptions {
  /** The owner of the stream, for limits, presence and `disconnect()`. */
  readonly user?: string | undefined
}

/** Options of a stream that follows a topic. */
export interface FollowOptions extends StreamOptions {
  /**
   * Whether the client has named the topic: then `authorizeTopic` decides, for `user` or for the user that `authenticate`
   * identifies.
   * @default false: the host names the topic, and grants it
   */
  readonly requested?: boolean | undefined
  /** Replaces the hub's `authenticate`. */
  readonly authenticate?: Authenticate | undefined
  /** Replaces the hub's `authorizeTopic`. */
  readonly authorizeTopic?: AuthorizeTopic | undefined
}

const PLUGIN_OPTIONS = [...HUB_OPTION_NAMES, 'authenticate', 'authorizeTopic', 'paceConnections']
const BEGINNINGS = ['from', 'last', 'lastEventId', 'requestedTopics', 'authenticate', 'authorizeTopic']
const CONNECT_OPTIONS = ['user', 'topics', 'expiresAt', ...BEGINNINGS]
const STREAM_OPTIONS = ['user']
const FOLLOW_OPTIONS = ['user', 'requested', 'authenticate', 'authorizeTopic']

/** @throws {InvalidOptionError} */
export function checkPluginOptions(options: SseHubOptions): void {
  checkNames('', options, PLUGIN_OPTIONS, REGISTER_OPTIONS)
  checkFunctions('', options)
  checkFlag('paceConnections', options.paceConnections)
}

/** @throws {InvalidOptionError} */
export function checkConnectOptions(options: Partial<StreamIdentity> & ConnectOptions): void {
  checkCall('connect()', options, CONNECT_OPTIONS)
}

/** @throws {InvalidOptionError} */
export function checkFollowOptions(options: FollowOptions): void {
  checkCall('follow()', options, FOLLOW_OPTIONS)
  checkFlag('follow().requested', options.requested)
}

/** @throws {InvalidOptionError} */
export function checkStreamOptions(options: StreamOptions): void {
  checkCall('stream()', options, STREAM_OPTIONS)
}

function checkCall(call: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidOptionError(`of ${call}`, `is an object like { user: 'alice' }; got ${describe(options)}`)
  }
  checkNames(call, options, known)
  checkFunctions(`${call}.`, options)
}

function checkFunctions(prefix: string, options: object): void {
  const { authenticate, authorizeTopic } = options as ConnectOptions
  checkFunction(`${prefix}authenticate`, authenticate)
  checkFunction(`${prefix}authorizeTopic`, authorizeTopic)
}

function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw new InvalidOptionError(name, `is true or false; got ${describe(value)}`)
}

/** Only a well-formed string is a user; a number or `true` is a mistake in the host's code. */
export function isIdentity(value: unknown): value is StreamIdentity {
  return typeof value === 'object' && value !== null && isName((value as StreamIdentity).user)
}

/** Times below it are in seconds: in milliseconds they would be before 1973. */
const SECONDS = 100_000_000_000

/** Describes the mistake in an identity; undefined for a valid one, and for null and undefined. */
export function identityMistake(value: unknown, source: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object') return `${source} gave ${describe(value)}; it gives { user } or nothing`
  const { user, expiresAt } = value as Partial<StreamIdentity>
  if (!isName(user)) return `${source} gave a user that is ${describe(user)}; a user is a string of 1 to 256 bytes`
  if (typeof expiresAt === 'number' && expiresAt > 0 && expiresAt < SECONDS) {
    return `${source} gave expiresAt ${expiresAt}, which looks like seconds; it is in milliseconds since the epoch`
  }
  return undefined
}

/** Shared by all streams without topics, to save memory. */
const NO_TOPICS: string[] = []

/** The topics of all lists, without duplicates, in their order. A string is refused: it would be split into characters. */
export function allTopics(...lists: unknown[]): string[] {
  const wrong = lists.find((list) => !Array.isArray(list))
  if (wrong !== undefined) throw new InvalidDraftError(`topics are an array of names; got ${describe(wrong)}`)
  const names = lists.flat() as string[]
  return names.length === 0 ? NO_TOPICS : [...new Set(names)]
}

/** The requested topics that are not granted by the identity: `authorizeTopic` decides about them. */
export function topicsToAsk(granted: readonly string[] | undefined, requested: readonly string[]): string[] {
  const known = allTopics(granted ?? [])
  return requested.filter((topic) => !known.includes(topic))
}
