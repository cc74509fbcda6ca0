import type { GapReason } from '../events/gap-reason.ts'

/** Counts of a node's deliveries since its start. The hot path adds to them; no one else is called. */
export class DeliveryCounts {
  /** Events that were written to live streams; each stream counts. */
  delivered = 0
  /** Events that were read from the log for a stream that was not live. */
  replayed = 0
  /** Bytes that were written to streams. */
  bytes = 0
  /** Reports of missing history to streams. */
  readonly gaps: Record<GapReason, number> = { evicted: 0, reset: 0, diverged: 0, unknown: 0 }
  /** How often the log's tail lost events. */
  discontinuities = 0
  /** Reads of the log that failed. */
  readErrors = 0
}
