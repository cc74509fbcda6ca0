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
import { isRedisUrl } from './values.ts'

type StoreLogger = NonNullable<RedisLogOptions['logger']> & NonNullable<EmbeddedLogOptions['logger']>

/** The store of the standalone hub's history, and the parts that it shares with other nodes. */
export interface HistoryStore {
  /** The log, or undefined for the hub's own in memory. */
  readonly log?: EventLog | undefined
  readonly cluster?: Cluster | undefined
  /** The store of tickets, or undefined for the memory of this node. */
  readonly tickets?: TicketStore | undefined
  /** Names the store in the log. */
  readonly description: string
  /** Warning for the operator, if any. */
  readonly warning?: string | undefined
}

const IN_MEMORY = 'history is kept in memory: a restart begins a new one, and clients receive hub.gap'
const NOT_INSTALLED =
  'history is in memory only and ends with this process, because the package lmdb is not installed. ' +
  'To keep it: npm install lmdb, or npx fastify-sse-hub-server. To silence this: HUB_STORE=memory'
const NOT_CREATED = 'history is in memory only and ends with this process, because its folder cannot be created'
/** The file of a folder with history: it exists if an earlier start has written some. */
const STAMP = 'event-log.json'

/** Error codes of a folder that this user, or no user, can create or write to. */
const NOT_WRITABLE = /\b(EACCES|EPERM|EROFS)\b/
const CHOOSE_STORE = 'set HUB_STORE to a folder that can be written to, or to "memory"'

/**
 * Opens the store of `HUB_STORE`: `memory`, a folder, or a Redis. If the variable is unset, and the embedded store is not
 * installed, or the default folder cannot be created, history is kept in memory, unless the folder exists.
 * @throws {EnvironmentError} with the reason, and the fix.
 */
export async function openHistory(
  { store, isDefaultStore, retention }: Pick<Environment, 'store' | 'isDefaultStore' | 'retention'>,
  logger: StoreLogger
): Promise<HistoryStore> {
  if (store === 'memory') return { description: IN_MEMORY }
  const isRedis = isRedisUrl(store)
  try {
    return await (isRedis ? openRedis(store, retention, logger) : openFolder(store, retention, logger))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isMissing = code === 'SSE_HUB_ERR_MISSING_PACKAGE'
    if (isMissing && isDefaultStore && !existsSync(join(store, STAMP)))
      return { description: IN_MEMORY, warning: NOT_INSTALLED }
    const isNotWritable = !isRedis && NOT_WRITABLE.test(message)
    // An existing folder may hold history, which must not be ignored.
    if (isNotWritable && isDefaultStore && !existsSync(store))
      return { description: IN_MEMORY, warning: `${NOT_CREATED}: ${message}. To keep it: ${CHOOSE_STORE}` }
    throw new EnvironmentError(`HUB_STORE cannot be opened: ${message}${adviceFor(isMissing, isNotWritable)} (${code})`)
  }
}

function adviceFor(isMissing: boolean, isNotWritable: boolean): string {
  if (isMissing) return ', or set HUB_STORE=memory to keep no history over a restart'
  return isNotWritable ? `; ${CHOOSE_STORE}, which keeps no history over a restart` : ''
}

async function openFolder(store: string, retention: Partial<Retention>, logger: StoreLogger): Promise<HistoryStore> {
  const path = resolve(store)
  return {
    log: await embeddedLog({ path, retention, logger }),
    description: `history is kept in ${path}, also over a restart`
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
  // The address omits user and password.
  return { ...parts, description: `history is kept in Redis at ${address}, for all nodes that use it` }
}
