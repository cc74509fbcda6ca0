import { resolve } from 'node:path'
import { EnvironmentError } from './environment.ts'
import { embeddedLog } from './services/event-log/embedded.ts'
import type { EventLog } from './services/event-log/event-log.ts'
import type { Retention } from './services/event-log/retention.ts'

/** Where the standalone hub keeps its history. */
export interface HistoryStore {
  /** The log, or undefined for the hub's own in memory. */
  readonly log: EventLog | undefined
  /** What the start says of it. */
  readonly told: string
}

/**
 * Opens what `HUB_STORE` names: `memory`, or a folder.
 * @throws {EnvironmentError} that says why it cannot be opened.
 */
export async function openHistory(store: string, retention: Partial<Retention>): Promise<HistoryStore> {
  if (store === 'memory') {
    return { log: undefined, told: 'history is kept in memory: a restart begins anew, and tells the clients' }
  }
  const path = resolve(store)
  try {
    return { log: await embeddedLog({ path, retention }), told: `history is kept in ${path}, also over a restart` }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const way = code === 'SSE_HUB_ERR_MISSING_PACKAGE' ? ', or set HUB_STORE=memory to keep none over a restart' : ''
    throw new EnvironmentError(`HUB_STORE cannot be opened: ${message}${way}`)
  }
}
