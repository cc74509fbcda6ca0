import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { fail, type Variables, wholeNumber } from '../values.ts'
import { workerNumber } from './protocol.ts'

const NAME = 'HUB_WORKERS'
const MAX_WORKERS = 256

/**
 * The number of processes that serve. Several workers share the log of one Redis; the other stores serve one process.
 * @throws {EnvironmentError}
 */
export function readWorkers(env: Variables, hasRedis: boolean): number {
  const text = env[NAME]
  const isAuto = text === 'auto'
  if (text && !isAuto && !/^\d/.test(text)) fail(NAME, `is "auto", or a whole number from 1 to ${MAX_WORKERS}`)
  const workers = isAuto ? Math.min(MAX_WORKERS, availableParallelism()) : wholeNumber(env, NAME, 1, MAX_WORKERS)
  if (workers === undefined) return 1
  if ((isAuto || workers > 1) && !hasRedis)
    fail(
      NAME,
      'needs a Redis that joins the workers: the embedded store and the memory store serve one process. ' +
        'Set HUB_STORE to a redis:// URL, or HUB_WORKERS to 1 (SSE_HUB_ERR_WORKERS_NEED_REDIS)'
    )
  if (workers > 1 && cluster.isWorker && workerNumber(env) === undefined)
    fail(NAME, 'must be 1 in a process that is a worker of another cluster already, such as PM2 starts')
  return workers
}
