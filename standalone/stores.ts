import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { TicketStore } from '../services/access/ticket-store.ts'
import type { Cluster } from '../services/cluster/cluster.ts'
import { type EmbeddedLogOptions, embeddedLog } from '../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../services/event-log/event-log.ts'
import type { RedisLogOptions } from '../services/event-log/redis/open-redis-log.ts'
import type { Retention } from '../services/event-log/retention.ts'
import { openShared } from '../services/hub/redis-hub-parts.ts'
import { type Environment, EnvironmentError } from './environment.ts'

type StoreLogger = NonNullable<RedisLogOptions['logger']> & NonNullable<EmbeddedLogOptions['logger']>

/** Where the standalone hub keeps its history, and what it shares with other nodes. */
export interface HistoryStore {
  /** The log, or undefined for the hub's own in memory. */
  readonly log?: EventLog | undefined
  readonly cluster?: Cluster | undefined
  /** Where tickets are kept, or undefined for this node's memory. */
  readonly tickets?: TicketStore | undefined
  /** What the start says of it. */
  readonly told: string
  /** What the operator must know, if anything. */
  readonly warning?: string | undefined
}

const IN_MEMORY = 'history is kept in memory: a restart begins anew, and tells the clients'
const NOT_KEPT =
  'history is in memory only and ends with this process, because the package lmdb is not installed. ' +
  'To keep it: npm install lmdb, or npx fastify-sse-hub-server. To silence this: HUB_STORE=memory'
const NOT_MADE = 'history is in memory only and ends with this process, because its folder cannot be made'
/** Holds the history of a folder: its presence says that an earlier start kept some. */
const STAMP = 'event-log.json'

/** Why a folder cannot be made or written to: not by this user, or by nobody. */
const NOT_WRITABLE = /\b(EACCES|EPERM|EROFS)\b/
const CHOOSE = 'set HUB_STORE to a folder that can be written to, or to "memory"'

/**
 * Opens what `HUB_STORE` names: `memory`, a folder, or a Redis. Where it names nothing, and the embedded store is not
 * installed, as with `npx`, or the default folder cannot be made, history is kept in memory, unless the folder is there.
 * @throws {EnvironmentError} that says why it cannot be opened, and what to do.
 */
export async function openHistory(
  { store, isDefaultStore, retention }: Pick<Environment, 'store' | 'isDefaultStore' | 'retention'>,
  logger: StoreLogger
): Promise<HistoryStore> {
  if (store === 'memory') return { told: IN_MEMORY }
  const isRedis = /^rediss?[:+]/.test(store)
  try {
    return await (isRedis ? openRedis(store, retention, logger) : openFolder(store, retention, logger))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isMissing = code === 'SSE_HUB_ERR_MISSING_PACKAGE'
    if (isMissing && isDefaultStore && !existsSync(join(store, STAMP))) return { told: IN_MEMORY, warning: NOT_KEPT }
    const isNotWritable = !isRedis && NOT_WRITABLE.test(message)
    // A folder that is there may hold history, which must not be passed over.
    if (isNotWritable && isDefaultStore && !existsSync(store))
      return { told: IN_MEMORY, warning: `${NOT_MADE}: ${message}. To keep it: ${CHOOSE}` }
    throw new EnvironmentError(`HUB_STORE cannot be opened: ${message}${wayOut(isMissing, isNotWritable)} (${code})`)
  }
}

function wayOut(isMissing: boolean, isNotWritable: boolean): string {
  if (isMissing) return ', or set HUB_STORE=memory to keep none over a restart'
  return isNotWritable ? `; ${CHOOSE}, which keeps none over a restart` : ''
}

async function openFolder(store: string, retention: Partial<Retention>, logger: StoreLogger): Promise<HistoryStore> {
  const path = resolve(store)
  return {
    log: await embeddedLog({ path, retention, logger }),
    told: `history is kept in ${path}, also over a restart`
  }
}

async function openRedis(
  store: string,
  retention: Partial<Retention>,
  logger: RedisLogOptions['logger']
): Promise<HistoryStore> {
  const [url = '', parameters] = store.split('?')
  const prefix = new URLSearchParams(parameters).get('prefix') ?? undefined
  const parts = await openShared({ url, prefix, retention, logger })
  const address = url.slice(Math.max(url.indexOf('://') + 3, url.lastIndexOf('@') + 1))
  // Without user and password.
  return { ...parts, told: `history is kept in Redis at ${address}, for all nodes that use it` }
}
