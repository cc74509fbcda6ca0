import type { NewEvent } from '../../events/log-event.ts'

const PAGE = 4_096
/** LMDB stores a larger row in pages of its own. */
const INLINE = 1_900
/** Size of an entry on disk besides its text: its key, its row, its node, and half-filled pages. */
const ENTRY_OVERHEAD = 120
/** Size of a position in one channel, besides the channel's name in the entry. */
const POSITION_OVERHEAD = 90

/** Approximate size of an event on disk. */
export function weightOf(event: NewEvent): number {
  let row = Buffer.byteLength(event.data) + Buffer.byteLength(event.event) + ENTRY_OVERHEAD
  let positions = 0
  for (const channel of event.channels) {
    row += Buffer.byteLength(channel)
    positions += POSITION_OVERHEAD
  }
  if (event.except !== undefined) for (const user of event.except) row += Buffer.byteLength(user) + 3
  if (event.trace !== undefined) row += event.trace.length + 3
  if (event.collapseKey !== undefined) positions += 2 * event.channels.length * Buffer.byteLength(event.collapseKey)
  return (row > INLINE ? Math.ceil((row + 16) / PAGE) * PAGE : row) + positions
}
