import { resolveLimits } from '../../plugins/connections/limits.ts'
import { resolveOptions } from '../../services/hub/options.ts'
import type { Environment } from '../environment.ts'

/** The smallest bound of unread bytes that the server takes. */
const MIN_UNREAD_BYTES = 1_048_576

/** The settings of one of several workers. Limits that are not counts, and so cannot be shared, are divided. */
export function workerSettings(environment: Environment): Environment {
  const { workers } = environment
  const { openingRate } = resolveOptions({ openingRate: environment.openingRate })
  const { maxUnreadBytes } = resolveLimits({ maxUnreadBytes: environment.maxUnreadBytes })
  return {
    ...environment,
    openingRate: Math.ceil(openingRate / workers),
    maxUnreadBytes: Math.max(MIN_UNREAD_BYTES, Math.ceil(maxUnreadBytes / workers))
  }
}
