import { type Clock, systemClock } from '../clock.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { SINGLE_NODE } from '../cluster/single-node.ts'
import { InvalidOptionError } from '../errors.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { IDEMPOTENCY_WINDOW } from '../event-log/idempotency.ts'
import { type Retention, resolveRetention } from '../event-log/retention.ts'
import { MAX_RECONNECTION_TIME } from '../events/wire-format.ts'
import { checkClock, hasMethods, show, wholeNumbers } from '../option-checks.ts'
import type { StreamSettings } from '../streams/stream-settings.ts'
import type { WelcomeFunction } from '../streams/welcome-fields.ts'

/** Hub options. Durations are in milliseconds, sizes in bytes. */
export interface HubOptions {
  /**
   * The event log. It belongs to this hub, which closes it.
   * @default a log in the memory of this process
   */
  readonly log?: EventLog | undefined
  /**
   * Joins this node to the others of the same hub: presence, limits per user, closing of streams. It belongs to this hub, which
   * leaves it on close. All nodes need one event log, too.
   * @default a single node
   */
  readonly cluster?: Cluster | undefined
  /** Retention of the memory log; a log that is passed in has its own. */
  readonly retention?: Partial<Retention> | undefined
  /**
   * How long the memory log remembers an idempotency key.
   * @default 300_000
   */
  readonly idempotencyWindow?: number | undefined
  /**
   * A stream that was silent for so long, or up to a quarter less, is sent `hub.heartbeat`. Proxies keep the stream open, the
   * page sees that it is alive, and its cursor stays within history. 0 turns heartbeats off.
   * @default 15_000
   */
  readonly heartbeatInterval?: number | undefined
  /**
   * How long an event source waits before it reconnects, plus or minus a half, so that not all reconnect at once.
   * @default 2_000
   */
  readonly reconnectionTime?: number | undefined
  /**
   * A stream whose client reads nothing for so long while events are pending is closed (`slow`); the client may reconnect. 0
   * turns it off.
   * @default 30_000
   */
  readonly stallTimeout?: number | undefined
  /**
   * Maximum age of a stream. It is closed (`expired`) by then, up to a quarter earlier so that streams that were opened
   * together do not end together; the client may reconnect. Use it to move streams to new nodes, or to authenticate users
   * again. Finite streams that a producer feeds are exempt, because they cannot be resumed. 0 is no limit.
   * @default 0
   */
  readonly maxStreamAge?: number | undefined
  /**
   * Whether each stream begins with `hub.welcome`. Without it a client learns the reconnection time from `hub.close` alone.
   * A function returns fields for the data of `hub.welcome` beside the hub's own: at once, as a plain object of at most 16,384
   * characters of JSON. If it fails, the error is logged, and the welcome is sent without them.
   * @default true
   */
  readonly welcome?: boolean | WelcomeFunction | undefined
  /**
   * Whether `hub.welcome` has `online`, the number of users and streams of the whole hub.
   * @default true
   */
  readonly onlineCounts?: boolean | undefined
  /**
   * Maximum size of the data of one event on the wire, in bytes, where each line end takes seven; at most 1 MiB.
   * @default 65_536
   */
  readonly maxEventBytes?: number | undefined
  /**
   * Maximum number of events in one batch.
   * @default 1_000
   */
  readonly maxBatch?: number | undefined
  /**
   * Maximum number of topics of one stream.
   * @default 100
   */
  readonly maxTopics?: number | undefined
  /**
   * Maximum number of streams of this node. More are rejected as retryable: the client reconnects later. 0 is no limit.
   * @default 0
   */
  readonly maxStreams?: number | undefined
  /**
   * Maximum number of streams of one user, on all nodes. 0 is no limit.
   * @default 100
   */
  readonly maxStreamsPerUser?: number | undefined
  /**
   * Effect of a stream beyond `maxStreamsPerUser`: `replace` closes the user's oldest stream for good, `reject` rejects the new
   * one as retryable.
   * @default 'replace'
   */
  readonly onUserLimit?: 'replace' | 'reject' | undefined
  /**
   * Maximum number of streams of one network address on this node. 0 is no limit. Behind a proxy all streams have its address,
   * unless Fastify's `trustProxy` is set.
   * @default 0
   */
  readonly maxStreamsPerAddress?: number | undefined
  /**
   * Maximum number of streams per second that one user may open on this node, averaged over 25 seconds; with
   * `maxStreamsPerAddress` also one network address. More are rejected as retryable. 0 is no limit.
   * @default 20
   */
  readonly openingRate?: number | undefined
  /**
   * How long a user may be without an open stream before the user is offline for the hub's event `offline`.
   * Choose it longer than one and a half of `reconnectionTime`.
   * @default 5_000
   */
  readonly presenceGrace?: number | undefined
  /**
   * How long an event may stay unread in an inbox before the hub emits `unread`. Each such event has an entry in the log until
   * then, which `retention.topic` and `retention.age` bound. 0 turns it off.
   * @default 0
   */
  readonly unreadAfter?: number | undefined
  /**
   * The source of time and of random numbers.
   * @default the system's
   */
  readonly clock?: Clock | undefined
}

/** The options with all defaults filled in. */
export interface ResolvedOptions extends StreamSettings {
  readonly log: EventLog | undefined
  readonly cluster: Cluster | undefined
  readonly retention: Retention
  readonly idempotencyWindow: number
  readonly maxBatch: number
  readonly unreadAfter: number
}

const DAY = 86_400_000
const YEAR = 365 * DAY

/** Name, default, minimum and maximum of each option that is a whole number. */
const NUMBERS = {
  idempotencyWindow: IDEMPOTENCY_WINDOW,
  heartbeatInterval: [15_000, 0, DAY],
  reconnectionTime: [2_000, 0, MAX_RECONNECTION_TIME],
  stallTimeout: [30_000, 0, DAY],
  maxStreamAge: [0, 0, YEAR],
  maxEventBytes: [65_536, 1, 1_048_576],
  maxBatch: [1_000, 1, 100_000],
  maxTopics: [100, 0, 10_000],
  maxStreams: [0, 0, 10_000_000],
  maxStreamsPerUser: [100, 0, 10_000_000],
  maxStreamsPerAddress: [0, 0, 10_000_000],
  openingRate: [20, 0, 10_000],
  presenceGrace: [5_000, 0, 3_600_000],
  unreadAfter: [0, 0, YEAR]
} as const

const OTHERS = ['log', 'cluster', 'retention', 'welcome', 'onlineCounts', 'onUserLimit', 'clock']

const CLUSTER_METHODS = Object.entries(SINGLE_NODE).flatMap(([name, value]) =>
  typeof value === 'function' ? [name] : []
)

/** The names of all options of the hub. */
export const HUB_OPTION_NAMES: readonly string[] = [...Object.keys(NUMBERS), ...OTHERS]

/** @throws {InvalidOptionError} naming the option, the values that it takes, and the value that was given. */
export function resolveOptions(options: HubOptions): ResolvedOptions {
  const numbers = wholeNumbers(NUMBERS, options)
  const { welcome = true, onlineCounts = true, onUserLimit = 'replace', log, cluster, clock = systemClock } = options
  if (typeof onlineCounts !== 'boolean')
    throw new InvalidOptionError('onlineCounts', `is true or false; got ${show(onlineCounts)}`)
  if (typeof welcome !== 'boolean' && typeof welcome !== 'function')
    throw new InvalidOptionError('welcome', `is true, false or a function; got ${show(welcome)}`)
  if (onUserLimit !== 'replace' && onUserLimit !== 'reject') {
    throw new InvalidOptionError('onUserLimit', `is "replace" or "reject"; got ${show(onUserLimit)}`)
  }
  if (log !== undefined && !hasMethods(log, ['append', 'read', 'tail', 'close', 'stats'])) {
    throw new InvalidOptionError('log', 'is an event log: append, read, tail, close and stats')
  }
  if (cluster !== undefined && !hasMethods(cluster, CLUSTER_METHODS)) {
    throw new InvalidOptionError('cluster', 'is a cluster: join, leave and the methods between')
  }
  checkClock(clock)
  return {
    ...numbers,
    retention: resolveRetention(options.retention ?? {}),
    welcome,
    onlineCounts,
    onUserLimit,
    log,
    cluster,
    clock
  }
}
