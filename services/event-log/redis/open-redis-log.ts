import type { Clock } from '../../clock.ts'
import { systemClock } from '../../clock.ts'
import { InvalidOptionError, LogUnavailableError } from '../../errors.ts'
import { checkNames, wholeNumber } from '../../option-checks.ts'
import { messageOf } from '../../redis/client.ts'
import { openerFor, type RedisTemplate, type RedisTemplateFactory } from '../../redis/client-factory.ts'
import { RedisConnection } from '../../redis/connection.ts'
import type { RedisLink } from '../../redis/link.ts'
import type { ClusterSettings, SentinelSettings } from '../../redis/settings.ts'
import { resolveIdempotencyWindow } from '../idempotency.ts'
import type { Retention } from '../retention.ts'
import { resolveRetention } from '../retention.ts'
import { RedisLog } from './redis-log.ts'

export type { RedisTemplate, RedisTemplateFactory } from '../../redis/client-factory.ts'
export type { LuaScript, RedisArgument, RedisLink } from '../../redis/link.ts'
export { LinkError, RedisReplyError } from '../../redis/link.ts'
export type { AddressMap, ClusterSettings, SentinelSettings } from '../../redis/settings.ts'
export type { RedisLog } from './redis-log.ts'

/** The address of Redis. Exactly one of `url`, `client`, `sentinel` and `cluster`. */
export interface RedisLinkOptions {
  /**
   * `redis://` or `rediss://` (TLS), with user, password and number of the database: `rediss://user:password@host:6379/0`. With
   * Sentinels `redis+sentinel://user:password@host:26379,host:26379/name/0`, with the password of the servers; in a cluster
   * `redis+cluster://user:password@host:6379,host:6379`.
   */
  readonly url?: string | undefined
  /**
   * A client of node-redis (`createClient`), for settings that a URL cannot express. It is only a template: the log opens
   * connections of its own with `client.duplicate()`, and closes them; the host still owns the client, connected or not. Or a
   * function that creates one, called for each connection: for an address or a password that changes.
   */
  readonly client?: RedisTemplate | RedisTemplateFactory | undefined
  /** Options of `createSentinel` of node-redis: the log asks the Sentinels for the master, for each connection that it opens. */
  readonly sentinel?: SentinelSettings | undefined
  /** Options of `createCluster` of node-redis: the log connects to the node that has the keys of the hub, which share a slot. */
  readonly cluster?: ClusterSettings | undefined
  /**
   * Prefix of the names of all keys, in braces. Hubs with different prefixes share nothing.
   * @default 'sse-hub'
   */
  readonly prefix?: string | undefined
  /**
   * Reply timeout in milliseconds: after it the connection is closed, and commands without a reply are rejected.
   * @default 2_000
   */
  readonly timeout?: number | undefined
  /**
   * Logs when Redis is lost, when it is back, and errors that no call can report: a logger with pino's interface.
   * @default undefined: only such errors are reported, as warnings of the process
   */
  readonly logger?: OutageLogger | undefined
}

export interface RedisLogOptions extends RedisLinkOptions {
  /** Bounds of the history. Must be the same on all nodes of a hub. */
  readonly retention?: Partial<Retention> | undefined
  /**
   * How long an idempotency key is remembered, in milliseconds.
   * @default 300_000
   */
  readonly idempotencyWindow?: number | undefined
  /**
   * Bytes of the tail that Redis keeps for nodes that lost their connection; beyond them, nodes read history again.
   * @default 16_777_216
   */
  readonly tailBytes?: number | undefined
  /**
   * Bytes of the tail that each node keeps in its own memory, so that streams that missed little need no read from Redis.
   * 0 turns it off.
   * @default 33_554_432
   */
  readonly recentBytes?: number | undefined
  /**
   * Whether to start while Redis cannot be reached: until it can, events and streams get a retryable rejection.
   * @default false: fails after five seconds
   */
  readonly startDegraded?: boolean | undefined
  /**
   * Source of time and randomness, for tests.
   * @default the server's time
   */
  readonly clock?: Clock | undefined
}

export interface OutageLogger {
  warn(details: object, message: string): void
  info(details: object, message: string): void
}

/** How long to wait for Redis at the start, in milliseconds. */
const START = 5_000
const NAMES = [
  'url',
  'client',
  'sentinel',
  'cluster',
  'prefix',
  'timeout',
  'retention',
  'idempotencyWindow',
  'tailBytes',
  'recentBytes',
  'startDegraded',
  'logger',
  'clock'
]

/**
 * Opens the event log in Redis (7 or later) or Valkey: nodes with the same log are one hub. Pass it as the hub's
 * `log`; the hub closes it.
 * @throws {InvalidOptionError} for bad options, and when the package `redis` is not installed.
 * @throws {LogUnavailableError} when Redis cannot be reached within five seconds, unless `startDegraded`.
 */
export async function redisLog(options: RedisLogOptions): Promise<RedisLog> {
  const link = await redisLink(options, options.clock)
  try {
    return await redisLogOn(link, options)
  } catch (error) {
    link.close()
    throw error
  }
}

/** Opens the event log over an existing connection, which is closed with the log. */
export async function redisLogOn(link: RedisLink, options: RedisLogOptions): Promise<RedisLog> {
  checkNames('', options, NAMES)
  const { startDegraded = false, clock, logger } = options
  const parts = {
    retention: resolveRetention(options.retention ?? {}),
    idempotencyWindow: resolveIdempotencyWindow(options.idempotencyWindow),
    tailBytes: wholeNumber('tailBytes', options.tailBytes ?? 16_777_216, 0, 2 ** 32),
    recentBytes: wholeNumber('recentBytes', options.recentBytes ?? 33_554_432, 0, 2 ** 32)
  }
  if (!startDegraded) await reached(link)
  if (logger !== undefined) {
    link.onDown((problem) =>
      logger.warn({ problem }, 'the connection to Redis is lost; events are rejected until it is back')
    )
    link.onUp(() => logger.info({}, 'the connection to Redis is up'))
  }
  return new RedisLog({
    ...parts,
    link,
    clock: clock ?? systemClock,
    isOwnTime: clock !== undefined,
    startDegraded,
    onFault: reporter(logger)
  })
}

/**
 * Opens a connection to the Redis of a hub, for the state that its nodes share besides the log. The caller closes it.
 * @throws {InvalidOptionError} for bad options, and when the package `redis` is not installed.
 */
export async function redisLink(options: RedisLinkOptions, clock: Clock = systemClock): Promise<RedisLink> {
  const { prefix = 'sse-hub', timeout = 2_000 } = options
  if (typeof prefix !== 'string' || !/^[\w.:/-]{1,64}$/.test(prefix)) {
    throw new InvalidOptionError('prefix', 'is 1 to 64 letters, digits and _ . : / -')
  }
  wholeNumber('timeout', timeout, 100, 60_000)
  const onFault = reporter(options.logger)
  const open = await openerFor(options, onFault)
  return new RedisConnection({ open, prefix, timeout, random: () => clock.random(), onFault })
}

/** Reports errors that no call can report. */
function reporter(logger: OutageLogger | undefined): (error: unknown, what: string) => void {
  return (error, what) => {
    if (logger === undefined) process.emitWarning(`fastify-sse-hub: ${what}: ${messageOf(error)}`)
    else logger.warn({ err: error }, what)
  }
}

async function reached(link: RedisLink): Promise<void> {
  try {
    await link.untilUp(START)
  } catch (error) {
    throw new LogUnavailableError(`${(error as Error).message}. Start it, or set startDegraded`)
  }
}
