import { type Clock, systemClock } from '../../services/clock.ts'
import { InvalidOptionError } from '../../services/errors.ts'
import { wholeNumber, wholeNumbers } from '../../services/option-checks.ts'
import type { SharedCounts } from '../../services/shared-counts.ts'

/** Bounds on the connections of a server. Durations are in milliseconds, sizes in bytes. */
export interface ConnectionLimits {
  /**
   * Maximum number of connections of the process. More are closed before a byte is read. 0 is no limit.
   * @default the process's limit of file descriptors, less 64
   */
  readonly maxConnections?: number | undefined
  /**
   * Maximum number of connections of one address; for IPv6, of one /64. 0 is no limit.
   * @default a quarter of `maxConnections`, and no limit for addresses of this machine
   */
  readonly maxConnectionsPerAddress?: number | undefined
  /**
   * Whether a peer is a proxy, which carries the connections of many clients and is exempt from the limit per address.
   * @default undefined: no peer is a proxy
   */
  readonly isProxy?: ((address: string) => boolean) | undefined
  /**
   * Maximum number of requests on one HTTP/1 connection; the response to the last one closes it. 0 is no limit.
   * @default 10_000
   */
  readonly maxRequestsPerConnection?: number | undefined
  /**
   * Maximum number of requests that an HTTP/1 connection may queue behind an unanswered one.
   * @default 32
   */
  readonly maxPipelined?: number | undefined
  /**
   * Maximum number of concurrent streams of an HTTP/2 session, including event streams.
   * @default 128
   */
  readonly maxStreamsPerSession?: number | undefined
  /**
   * How long a TLS handshake and the headers of a first request may take. At most `requestTimeout`.
   * @default 30_000
   */
  readonly headersTimeout?: number | undefined
  /**
   * How long a whole request with its body may take. The response may take longer.
   * @default 60_000
   */
  readonly requestTimeout?: number | undefined
  /**
   * How long an HTTP/2 session without streams is kept.
   * @default 72_000
   */
  readonly sessionTimeout?: number | undefined
  /**
   * A response of which the client reads nothing for so long is cut. 0 turns it off. Event streams have the hub's own timeout.
   * @default 30_000
   */
  readonly stallTimeout?: number | undefined
  /**
   * Maximum number of bytes of unread responses, in total; one connection may have a quarter. Beyond it the responses that have
   * waited longest are cut.
   * @default 134_217_728
   */
  readonly maxUnreadBytes?: number | undefined
  /**
   * The source of time.
   * @default the system's
   */
  readonly clock?: Clock | undefined
  /** @internal Counts that other workers share: limits that are set hold over all of them. */
  readonly counts?: SharedCounts | undefined
}

export interface ResolvedLimits extends Record<keyof typeof NUMBERS, number> {
  readonly maxConnectionsPerAddress: number
  /** Whether the limit also applies to addresses of this machine. */
  readonly limitsLoopback: boolean
  readonly isProxy: (address: string) => boolean
  readonly clock: Clock
  /** The shared counts for the limit of all connections. The default limit is that of a process. */
  readonly counts: SharedCounts | undefined
  /** The same for the limit per address. */
  readonly addressCounts: SharedCounts | undefined
}

/** Descriptors for everything except connections: the event log, log files, Redis, the listening socket. */
const RESERVED_DESCRIPTORS = 64
const MANY = 10_000_000
const DAY = 86_400_000

/** Default, minimum and maximum of each option that is a whole number. */
const NUMBERS = {
  maxConnections: [0, 0, MANY],
  maxRequestsPerConnection: [10_000, 0, 1_000_000_000],
  maxPipelined: [32, 0, 100_000],
  maxStreamsPerSession: [128, 1, 1_000_000],
  headersTimeout: [30_000, 10, DAY],
  requestTimeout: [60_000, 10, DAY],
  sessionTimeout: [72_000, 10, DAY],
  stallTimeout: [30_000, 0, DAY],
  maxUnreadBytes: [134_217_728, 1_048_576, Number.MAX_SAFE_INTEGER]
} as const

const OTHERS = ['maxConnectionsPerAddress', 'isProxy', 'clock', 'counts']

/** @throws {InvalidOptionError} naming the option, the values that it takes, and the value that was given. */
export function resolveLimits(limits: ConnectionLimits): ResolvedLimits {
  const names = [...Object.keys(NUMBERS), ...OTHERS]
  const unknown = Object.keys(limits).find((name) => !names.includes(name))
  if (unknown !== undefined) throw new InvalidOptionError(unknown, `is not a limit; the limits are ${names.join(', ')}`)
  const { isProxy = () => false, clock = systemClock, counts } = limits
  const given = { ...limits, maxConnections: limits.maxConnections ?? descriptors() }
  const numbers = wholeNumbers(NUMBERS, given)
  const share = Math.ceil(numbers.maxConnections / 4)
  const perAddress = limits.maxConnectionsPerAddress
  return {
    ...numbers,
    headersTimeout: Math.min(numbers.headersTimeout, numbers.requestTimeout),
    maxConnectionsPerAddress: wholeNumber('maxConnectionsPerAddress', perAddress ?? share, 0, MANY),
    limitsLoopback: perAddress !== undefined,
    isProxy,
    clock,
    counts: limits.maxConnections === undefined ? undefined : counts,
    addressCounts: (perAddress ?? limits.maxConnections) === undefined ? undefined : counts
  }
}

/** How many connections the process has descriptors for; 0 where that is unknown, as on Windows. */
function descriptors(): number {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean }
  const before = report.excludeNetwork
  // Otherwise the report resolves the host names of all open connections.
  report.excludeNetwork = true
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } }
  report.excludeNetwork = before ?? false
  const soft = Number(userLimits?.open_files?.soft)
  return Number.isSafeInteger(soft) ? Math.min(MANY, Math.max(1, soft - RESERVED_DESCRIPTORS)) : 0
}
