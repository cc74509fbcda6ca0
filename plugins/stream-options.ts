import type { FastifyRequest } from 'fastify'
import { InvalidDraftError, InvalidOptionError } from '../services/errors.ts'
import { isName } from '../services/events/channel.ts'
import { HUB_OPTION_NAMES, type HubOptions } from '../services/hub/options.ts'
import { checkFunction, checkNames, REGISTER_OPTIONS } from '../services/option-checks.ts'
import { describe } from '../services/text.ts'

/** Who a stream is for: what `authenticate` finds out, or the host knows. */
export interface StreamIdentity {
  /** A well-formed string of 1 to 256 bytes. Anything else is answered 401. */
  readonly user: string
  /** Topics that the stream listens to besides. */
  readonly topics?: readonly string[] | undefined
  /** When the identity lapses, in milliseconds since the epoch; the stream is closed by then. */
  readonly expiresAt?: number | undefined
}

/** Who is asking, or nothing if nobody is. */
export type Authenticate = (
  request: FastifyRequest
) => StreamIdentity | null | undefined | Promise<StreamIdentity | null | undefined>

/** Whether this user may listen to a topic that he asked for. */
export type AuthorizeTopic = (
  identity: StreamIdentity,
  topic: string,
  request: FastifyRequest
) => boolean | Promise<boolean>

export interface SseHubOptions extends HubOptions {
  /**
   * Tells who is asking, where `connect()` is not told and for `GET /events`. Has five seconds. If it throws, an error whose
   * `statusCode` is final (401, 403, …) is answered as it is; after any other the client is told to come back later.
   * @default undefined: `connect()` must be told
   */
  readonly authenticate?: Authenticate | undefined
  /**
   * Decides about topics that a client asks for; those that the host or `authenticate` names are granted. Has five seconds
   * for all of them.
   * @default undefined: a client may ask for none
   */
  readonly authorizeTopic?: AuthorizeTopic | undefined
  /**
   * Admits new connections at the pace at which they can be served, so that thousands of event sources that return at once do
   * not delay the open streams. It takes over the `connection` listeners of the app's HTTP server, so a host has to ask for it;
   * the standalone hub does. Has no effect on a server that speaks TLS.
   * @default false
   */
  readonly paceConnections?: boolean | undefined
}

/** How a stream begins. A last event ID that the client brings wins over `from` and `last`. */
export interface ConnectOptions {
  /** Begins with the oldest event that is held for the stream, so that a new device finds what is there. */
  readonly from?: 'oldest' | undefined
  /** Begins with the newest so many events, 1 to 1,000. */
  readonly last?: number | undefined
  /** Begins after this cursor, whatever the client brings. */
  readonly lastEventId?: string | undefined
  /** Topics that the client asks for itself: `authorizeTopic` decides. */
  readonly requestedTopics?: readonly string[] | undefined
  /** Instead of the hub's own `authenticate`. */
  readonly authenticate?: Authenticate | undefined
  /** Instead of the hub's own `authorizeTopic`. */
  readonly authorizeTopic?: AuthorizeTopic | undefined
}

/** What a finite stream is opened with. */
export interface StreamOptions {
  /** Who the stream belongs to, for limits, presence and `close()`. */
  readonly user?: string | undefined
}

/** How a topic is followed. */
export interface FollowOptions extends StreamOptions {
  /**
   * Whether the client has named the topic: then `authorizeTopic` decides, about `user`, or about the user that `authenticate`
   * finds.
   * @default false: the host names the topic, and grants it
   */
  readonly requested?: boolean | undefined
  /** Instead of the hub's own `authenticate`. */
  readonly authenticate?: Authenticate | undefined
  /** Instead of the hub's own `authorizeTopic`. */
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

/** Only a well-formed string is a user: no number, no `true`, nothing that a mistake in the host's code could leave there. */
export function isIdentity(value: unknown): value is StreamIdentity {
  return typeof value === 'object' && value !== null && isName((value as StreamIdentity).user)
}

/** Earlier than any time in milliseconds that a host can mean (1973), and later than any in seconds. */
const SECONDS = 100_000_000_000

/** What is wrong with an identity that is no identity; undefined if nothing is, or if there simply is none. */
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

/** One for all streams that have none. */
const NO_TOPICS: string[] = []

/** The topics of some lists, each once, in their order. A string is no list: it would fall into its letters. */
export function allTopics(...lists: unknown[]): string[] {
  const wrong = lists.find((list) => !Array.isArray(list))
  if (wrong !== undefined) throw new InvalidDraftError(`topics are an array of names; got ${describe(wrong)}`)
  const names = lists.flat() as string[]
  return names.length === 0 ? NO_TOPICS : [...new Set(names)]
}
