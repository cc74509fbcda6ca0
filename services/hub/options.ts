import { type Clock, systemClock } from '../clock.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { SINGLE_NODE } from '../cluster/single-node.ts'
import { InvalidOptionError } from '../errors.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { IDEMPOTENCY_WINDOW } from '../event-log/idempotency.ts'
import { type Retention, resolveRetention } from '../event-log/retention.ts'
import { MAX_RECONNECTION_TIME } from '../events/wire-format.ts'
import { checkClock, hasMethods, show, wholeNumber } from '../option-checks.ts'
import type { StreamSettings } from '../streams/stream-settings.ts'

/** What a hub can be told. Durations in milliseconds, sizes in bytes. */
export interface HubOptions {
  /**
   * Where events are kept, and what joins several nodes. Belongs to this hub, which closes it.
   * @default a log in this process's memory
   */
  readonly log?: EventLog | undefined
  /**
   * What this node tells the others of the same hub, and asks them: presence, limits per user, closing. Belongs to this hub,
   * which takes leave of the others. All nodes need one log, too.
   * @default none: this node is alone
   */
  readonly cluster?: Cluster | undefined
  /** What the memory log keeps; a log that is passed in has bounds of its own. */
  readonly retention?: Partial<Retention> | undefined
  /**
   * How long the memory log remembers an idempotency key.
   * @default 300_000
   */
  readonly idempotencyWindow?: number | undefined
  /**
   * A stream that was silent for so long, or up to a quarter less, is sent `hub.heartbeat`: proxies keep it open, the page
   * sees that it is alive, and its cursor stays within history. 0 turns it off.
   * @default 15_000
   */
  readonly heartbeatInterval?: number | undefined
  /**
   * After how long an event source comes back when its stream was cut, give or take a half, so that not all come at once.
   * @default 2_000
   */
  readonly reconnectionTime?: number | undefined
  /**
   * A client that takes nothing for so long although it is owed something is closed (`slow`), and may come back. 0 turns it
   * off.
   * @default 30_000
   */
  readonly stallTimeout?: number | undefined
  /**
   * How old a stream may become: it is closed (`expired`) by then, up to a quarter earlier so that those that came together do
   * not end together, and may come back. For streams that should move to new nodes, or whose user has to be asked for again.
   * A stream that a producer feeds, which could not go on where it was, is left alone. 0 is no limit.
   * @default 0
   */
  readonly maxStreamAge?: number | undefined
  /**
   * Whether each stream begins with `hub.welcome`. Without it a client learns the reconnection time from `hub.close` alone.
   * @default true
   */
  readonly welcome?: boolean | undefined
  /**
   * Whether `hub.welcome` has `online`, the number of users and streams of the whole hub.
   * @default true
   */
  readonly onlineCounts?: boolean | undefined
  /**
   * How many bytes the data of one event may have on the wire, where each line end takes seven; at most 1 MiB.
   * @default 65_536
   */
  readonly maxEventBytes?: number | undefined
  /**
   * How many events one batch may have.
   * @default 1_000
   */
  readonly maxBatch?: number | undefined
  /**
   * How many topics one stream may listen to.
   * @default 100
   */
  readonly maxTopics?: number | undefined
  /**
   * How many streams this node may have. More are refused softly: they are told to come back later. 0 is no limit.
   * @default 0
   */
  readonly maxStreams?: number | undefined
  /**
   * How many streams one user may have, on all nodes. 0 is no limit.
   * @default 100
   */
  readonly maxStreamsPerUser?: number | undefined
  /**
   * What happens to a user's stream too many: `replace` closes his oldest for good, `reject` refuses the new one softly.
   * @default 'replace'
   */
  readonly onUserLimit?: 'replace' | 'reject' | undefined
  /**
   * How many streams one network address may have on this node. 0 is no limit: behind a proxy all have its address, unless Fastify's
   * `trustProxy` is set.
   * @default 0
   */
  readonly maxStreamsPerAddress?: number | undefined
  /**
   * How many streams a second one user may open on this node, on average of 25 seconds, and one network address where
   * `maxStreamsPerAddress` is set. More are refused softly. 0 is no limit.
   * @default 20
   */
  readonly openingRate?: number | undefined
  /**
   * Time and chance.
   * @default the system's
   */
  readonly clock?: Clock | undefined
}

/** The options with nothing left open. */
export interface ResolvedOptions extends StreamSettings {
  readonly log: EventLog | undefined
  readonly cluster: Cluster
  readonly retention: Retention
  readonly idempotencyWindow: number
  readonly maxEventBytes: number
  readonly maxBatch: number
}

const DAY = 86_400_000
const YEAR = 365 * DAY

/** Name, default, and the least and most of each option that is a whole number. */
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
  openingRate: [20, 0, 10_000]
} as const

const OTHERS = ['log', 'cluster', 'retention', 'welcome', 'onlineCounts', 'onUserLimit', 'clock']

/** The names of all options of the hub. */
export const HUB_OPTION_NAMES: readonly string[] = [...Object.keys(NUMBERS), ...OTHERS]

/** @throws {InvalidOptionError} naming the option, what it takes, and what it was given. */
export function resolveOptions(options: HubOptions): ResolvedOptions {
  const numbers = Object.fromEntries(
    Object.entries(NUMBERS).map(([name, [preset, min, max]]) => [
      name,
      wholeNumber(name, options[name as keyof typeof NUMBERS] ?? preset, min, max)
    ])
  ) as Record<keyof typeof NUMBERS, number>
  const {
    welcome = true,
    onlineCounts = true,
    onUserLimit = 'replace',
    log,
    cluster = SINGLE_NODE,
    clock = systemClock
  } = options
  for (const [name, value] of Object.entries({ welcome, onlineCounts })) {
    if (typeof value !== 'boolean') throw new InvalidOptionError(name, `is true or false; got ${show(value)}`)
  }
  if (onUserLimit !== 'replace' && onUserLimit !== 'reject') {
    throw new InvalidOptionError('onUserLimit', `is "replace" or "reject"; got ${show(onUserLimit)}`)
  }
  if (log !== undefined && !hasMethods(log, ['append', 'read', 'tail', 'close', 'stats'])) {
    throw new InvalidOptionError('log', 'is an event log: append, read, tail, close and stats')
  }
  if (
    !hasMethods(
      cluster,
      Object.keys(SINGLE_NODE).filter((name) => !['isSingleNode', 'isSettled', 'elsewhere'].includes(name))
    )
  ) {
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
