/**
 * Why history between a cursor and now is not all there.
 *
 * - `evicted`: part of it is not held any more: retention has dropped it, or the store has lost it. What follows the cursor is there.
 * - `reset`: the cursor is from another life of the log: it was restarted without memory, or flushed.
 * - `diverged`: the cursor is of this life, but of an entry that this log never had: a failover lost its tail.
 * - `unknown`: the cursor is none that a hub writes.
 */
export type GapReason = 'evicted' | 'reset' | 'diverged' | 'unknown'
