import { type Clock, systemClock } from '../../services/clock.ts'
import { InvalidOptionError } from '../../services/errors.ts'
import { wholeNumber } from '../../services/option-checks.ts'

/** Bounds on what the connections of a server may cost. Durations in milliseconds, sizes in bytes. */
export interface ConnectionLimits {
  /**
   * Connections of the process. More are closed before a byte is read. 0 is no limit.
   * @default as many as the process may have descriptors, less 64
   */
  readonly maxConnections?: number | undefined
  /**
   * Connections of one address; of IPv6, of one /64. 0 is no limit.
   * @default a quarter of `maxConnections`, and no limit for addresses of this machine
   */
  readonly maxConnectionsPerAddress?: number | undefined
  /**
   * Whether a peer is a proxy, which brings the connections of many clients: the limit per address is not for it.
   * @default undefined: none is
   */
  readonly isProxy?: ((address: string) => boolean) | undefined
  /**
   * Requests of one HTTP/1 connection; the answer to the last one closes it. 0 is no limit.
   * @default 10_000
   */
  readonly maxRequestsPerConnection?: number | undefined
  /**
   * Requests that an HTTP/1 connection may queue behind one that is not answered yet.
   * @default 32
   */
  readonly maxPipelined?: number | undefined
  /**
   * Streams that an HTTP/2 session may have at a time, event streams among them.
   * @default 128
   */
  readonly maxStreamsPerSession?: number | undefined
  /**
   * How long a TLS handshake and the headers of a first request may take. At most `requestTimeout`.
   * @default 30_000
   */
  readonly headersTimeout?: number | undefined
  /**
   * How long a whole request with its body may take. The answer may take longer.
   * @default 60_000
   */
  readonly requestTimeout?: number | undefined
  /**
   * How long an HTTP/2 session without streams is kept.
   * @default 72_000
   */
  readonly sessionTimeout?: number | undefined
  /**
   * An answer of which the client reads nothing for so long is cut. 0 turns it off. Event streams have the hub's own.
   * @default 30_000
   */
  readonly stallTimeout?: number | undefined
  /**
   * Bytes of answers that clients have not read, in all; one connection may have a quarter. Beyond it those that wait longest
   * are cut.
   * @default 134_217_728
   */
  readonly maxUnreadBytes?: number | undefined
  /**
   * Time.
   * @default the system's
   */
  readonly clock?: Clock | undefined
}

export interface ResolvedLimits extends Record<keyof typeof NUMBERS, number> {
  readonly maxConnectionsPerAddress: number
  /** Whether addresses of this machine are limited, too. */
  readonly limitsLoopback: boolean
  readonly isProxy: (address: string) => boolean
  readonly clock: Clock
}

/** Descriptors for everything that is no connection: the store, the log, Redis, the listening socket. */
const RESERVED_DESCRIPTORS = 64
const MANY = 10_000_000
const DAY = 86_400_000

/** Default, least and greatest of each option that is a whole number. */
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

const OTHERS = ['maxConnectionsPerAddress', 'isProxy', 'clock']

/** @throws {InvalidOptionError} naming the option, what it takes, and what it was given. */
export function resolveLimits(limits: ConnectionLimits): ResolvedLimits {
  const names = [...Object.keys(NUMBERS), ...OTHERS]
  const unknown = Object.keys(limits).find((name) => !names.includes(name))
  if (unknown !== undefined) throw new InvalidOptionError(unknown, `is no limit; there are ${names.join(', ')}`)
  const { isProxy = () => false, clock = systemClock } = limits
  const given = { ...limits, maxConnections: limits.maxConnections ?? descriptors() }
  const numbers = Object.fromEntries(
    Object.entries(NUMBERS).map(([name, [preset, min, max]]) => [
      name,
      wholeNumber(name, given[name as keyof typeof NUMBERS] ?? preset, min, max)
    ])
  ) as Record<keyof typeof NUMBERS, number>
  const share = Math.ceil(numbers.maxConnections / 4)
  const perAddress = limits.maxConnectionsPerAddress
  return {
    ...numbers,
    headersTimeout: Math.min(numbers.headersTimeout, numbers.requestTimeout),
    maxConnectionsPerAddress: wholeNumber('maxConnectionsPerAddress', perAddress ?? share, 0, MANY),
    limitsLoopback: perAddress !== undefined,
    isProxy,
    clock
  }
}

/** How many connections the process has descriptors for; 0 where that is not known, as on Windows. */
function descriptors(): number {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean }
  const before = report.excludeNetwork
  // Host names of all open connections would be looked up otherwise.
  report.excludeNetwork = true
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } }
  report.excludeNetwork = before ?? false
  const soft = Number(userLimits?.open_files?.soft)
  return Number.isSafeInteger(soft) ? Math.min(MANY, Math.max(1, soft - RESERVED_DESCRIPTORS)) : 0
}
