import cluster from 'node:cluster'
import type { WorkerPart } from '../../services/worker-group.ts'
import type { Variables } from '../values.ts'

/** The variable by which the primary process gives a worker its number. */
export const WORKER_NUMBER = 'SSE_HUB_WORKER'

/** The number of this process, if a primary process of the hub has started it. */
export function workerNumber(env: Variables): number | undefined {
  return cluster.isWorker && env[WORKER_NUMBER] ? Number(env[WORKER_NUMBER]) : undefined
}

export type Changes = readonly (readonly [name: string, change: number])[]

/** From a worker to the primary process. */
export type WorkerMessage =
  /** It takes the counts of the others from now on. */
  | { readonly hub: 'joined' }
  /** It is ready to listen. */
  | { readonly hub: 'started' }
  /** It ends, because it could not start. */
  | { readonly hub: 'failed'; readonly reason: string }
  | { readonly hub: 'alive' }
  | { readonly hub: 'counted'; readonly changes: Changes }
  /** It asks for a part of the state of all workers. */
  | { readonly hub: 'collect'; readonly id: number; readonly part: string }
  | { readonly hub: 'part'; readonly id: number; readonly value?: unknown; readonly error?: string }

/** From the primary process to a worker. */
export type PrimaryMessage =
  | { readonly hub: 'listen' }
  /** It asks for `alive`. */
  | { readonly hub: 'check' }
  | { readonly hub: 'counted'; readonly changes: Changes }
  | { readonly hub: 'read'; readonly id: number; readonly part: string }
  | { readonly hub: 'collected'; readonly id: number; readonly parts: readonly WorkerPart[] }

/** Other code of the process may use the same channel. */
export function isHubMessage(message: unknown): message is WorkerMessage & PrimaryMessage {
  return typeof message === 'object' && message !== null && 'hub' in message
}
