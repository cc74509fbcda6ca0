/**
 * Why history between a cursor and now is incomplete.
 *
 * - `evicted`: part of the history was dropped by retention, or lost by the store. The cursor itself is valid.
 * - `reset`: the cursor is of another epoch of the log, which was restarted without memory, or flushed.
 * - `diverged`: the cursor is of this epoch, but of an entry that this log never had: a failover lost the newest entries.
 * - `unknown`: no hub writes such a cursor.
 */
export type GapReason = 'evicted' | 'reset' | 'diverged' | 'unknown'
