import type { SharedCounts } from './shared-counts.ts'

/** The worker processes of one server, as one of them sees them. */
export interface WorkerGroup {
  /** The number of this worker, from 1. A worker that replaces another has its number. */
  readonly number: number
  readonly counts: SharedCounts
  /** The limit of the connections of all workers; null without one. */
  readonly maxConnections: number | null
  /** Registers the function that reads a part of this worker's state, such as its counts, when a worker collects it. */
  provide(part: string, read: () => unknown): void
  /**
   * The part of every worker that answers within a second, in the order of their numbers, or else of this worker alone. Rejects
   * only if this one cannot be read.
   */
  collect(part: string): Promise<readonly WorkerPart[]>
}

export interface WorkerPart<Value = unknown> {
  readonly worker: number
  readonly value: Value
}
