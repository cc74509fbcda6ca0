import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Environment, EnvironmentError } from './environment.ts'
import { embeddedLog } from './services/event-log/embedded.ts'
import type { EventLog } from './services/event-log/event-log.ts'
import type { RedisLogOptions } from './services/event-log/redis.ts'
import type { Retention } from './services/event-log/retention.ts'
import type { Nodes } from './services/nodes/nodes.ts'
import { openShared } from './services/redis-hub.ts'
import type { TicketStore } from './services/tickets.ts'

/** Where the standalone hub keeps its history, and what it shares with other nodes. */
export interface HistoryStore {
  /** The log, or undefined for the hub's own in memory. */
  readonly log?: EventLog | undefined
  readonly nodes?: Nodes | undefined
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
  'To keep it: npx -p fastify-sse-hub -p lmdb fastify-sse-hub. To silence this: HUB_STORE=memory'
/** Holds the history of a folder: its presence says that an earlier start kept some. */
const STAMP = 'event-log.json'

/**
 * Opens what `HUB_STORE` names: `memory`, a folder, or a Redis. Where it names nothing and the embedded store is not
 * installed, as with `npx`, history is kept in memory, unless the default folder holds some.
 * @throws {EnvironmentError} that says why it cannot be opened.
 */
export async function openHistory(
  { store, isDefaultStore, retention }: Pick<Environment, 'store' | 'isDefaultStore' | 'retention'>,
  logger: RedisLogOptions['logger']
): Promise<HistoryStore> {
  if (store === 'memory') return { told: IN_MEMORY }
  try {
    return await (/^rediss?:/.test(store) ? openRedis(store, retention, logger) : openFolder(store, retention))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isMissing = code === 'SSE_HUB_ERR_MISSING_PACKAGE'
    if (isMissing && isDefaultStore && !existsSync(join(store, STAMP))) return { told: IN_MEMORY, warning: NOT_KEPT }
    const way = isMissing ? ', or set HUB_STORE=memory to keep none over a restart' : ''
    throw new EnvironmentError(`HUB_STORE cannot be opened: ${message}${way}`)
  }
}

async function openFolder(store: string, retention: Partial<Retention>): Promise<HistoryStore> {
  const path = resolve(store)
  return { log: await embeddedLog({ path, retention }), told: `history is kept in ${path}, also over a restart` }
}

async function openRedis(
  store: string,
  retention: Partial<Retention>,
  logger: RedisLogOptions['logger']
): Promise<HistoryStore> {
  const url = new URL(store)
  const prefix = url.searchParams.get('prefix') ?? undefined
  url.search = ''
  const parts = await openShared({ url: url.href, prefix, retention, logger })
  // Without user and password.
  return { ...parts, told: `history is kept in Redis at ${url.host}${url.pathname}, for all nodes that use it` }
}
