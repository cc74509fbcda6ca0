import type { Logger } from '../logger.ts'
import type { HubOptions } from './options.ts'

/**
 * Closes the event log and leaves the cluster that were passed in for a hub that cannot be created. Both belong to the hub, and
 * their connections and timers would keep the process alive. Never rejects; failures are logged.
 */
export async function closeParts({ log, cluster }: Pick<HubOptions, 'log' | 'cluster'>, logger: Logger): Promise<void> {
  // The options may be the fault, so they may have any type.
  for (const close of [() => cluster?.leave?.(), () => log?.close?.()]) {
    try {
      await close()
    } catch (error) {
      logger.error({ err: error }, 'a hub that did not start could not be closed')
    }
  }
}
