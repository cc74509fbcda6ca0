import { RedisTickets } from '../access/redis-tickets.ts'
import type { TicketStore } from '../access/ticket-store.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { RedisCluster } from '../cluster/redis/redis-cluster.ts'
import { type RedisLog, type RedisLogOptions, redisLink, redisLogOn } from '../event-log/redis/open-redis-log.ts'

export interface RedisHubOptions extends RedisLogOptions {
  /**
   * For how long a node counts after its last sign of life, in milliseconds, 500 to 600,000: so long, at most, one that died
   * without a word is counted, and for so long its event loop may stand still before it is taken for dead.
   * @default 10_000
   */
  readonly lease?: number | undefined
}

/** What makes many nodes one hub. */
export interface RedisHubParts {
  readonly log: RedisLog
  readonly cluster: Cluster
}

/** The same, and what is no option of a hub. */
export interface SharedParts extends RedisHubParts {
  /** Keeps tickets for all nodes. */
  readonly tickets: TicketStore
}

/**
 * Everything that nodes share, in one Redis (7 or later) or Valkey: events and history, presence, limits per user, closing.
 * Its result is part of the hub's options, `{ ...(await redisHub({ url })), … }`, and belongs to that one hub, which closes it.
 * @throws {InvalidOptionError} for bad options, and when the package `redis` is not installed.
 * @throws {LogUnavailableError} when Redis cannot be reached within five seconds, unless `startDegraded`.
 */
export async function redisHub(options: RedisHubOptions): Promise<RedisHubParts> {
  const { log, cluster } = await openShared(options)
  return { log, cluster }
}

/** @internal As {@link redisHub}, with all that nodes can share. */
export async function openShared({ lease, ...options }: RedisHubOptions): Promise<SharedParts> {
  const link = await redisLink(options, options.clock)
  try {
    const cluster = new RedisCluster({ link, lease, clock: options.clock })
    return { log: await redisLogOn(link, options), cluster, tickets: new RedisTickets(link) }
  } catch (error) {
    link.close()
    throw error
  }
}
