import { RedisTickets } from '../access/redis-tickets.ts'
import type { TicketStore } from '../access/ticket-store.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { RedisCluster } from '../cluster/redis/redis-cluster.ts'
import { type RedisLog, type RedisLogOptions, redisLink, redisLogOn } from '../event-log/redis/open-redis-log.ts'

export interface RedisHubOptions extends RedisLogOptions {
  /**
   * How long a silent node counts as alive, in milliseconds, 500 to 600,000. A crashed node is counted for so long at most; a
   * node whose event loop is blocked for longer counts as dead.
   * @default 10_000
   */
  readonly lease?: number | undefined
}

/** The hub options that join nodes into one hub. */
export interface RedisHubParts {
  readonly log: RedisLog
  readonly cluster: Cluster
}

/** The same, and the ticket store, which is not an option of the hub. */
export interface SharedParts extends RedisHubParts {
  /** Stores tickets for all nodes. */
  readonly tickets: TicketStore
}

/**
 * Connects a hub to one Redis (7 or later) or Valkey, in which nodes share events and history, presence, limits per user, and
 * the closing of streams. Spread the result into the hub's options, `{ ...(await redisHub({ url })), … }`. That hub closes
 * it.
 * @throws {InvalidOptionError} for bad options, and when the package `redis` is not installed.
 * @throws {LogUnavailableError} when Redis cannot be reached within five seconds, unless `startDegraded`.
 */
export async function redisHub(options: RedisHubOptions): Promise<RedisHubParts> {
  const { log, cluster } = await openShared(options)
  return { log, cluster }
}

/** @internal As {@link redisHub}, with the ticket store. */
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
