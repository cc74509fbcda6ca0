import { entryAt } from './entries.ts'
import { END, isChannelRow, isPosition, type PositionRow, type State, type Tables } from './tables.ts'

/**
 * Checks that the tables agree with each other. After a loss of power some pages of a file may be older than others, and
 * each of them may be valid by itself: then history would end, or have holes, without a gap.
 * @throws {Error} whose message names the fault.
 */
export function checkTables(tables: Tables, state: State): void {
  const { entries, channels, positions } = tables
  const [newest = 0] = entries.getKeys({ reverse: true, limit: 1 })
  if (newest > state.head) throw new Error(`it holds entry ${newest}, and counts ${state.head}`)
  const witness = entryAt(tables, state.head)?.[0]
  if (witness !== undefined && witness !== state.witness) throw new Error(`its newest entry is another`)
  const events = entries.getKeysCount({})
  if (events !== state.events) throw new Error(`it holds ${events} entries, and counts ${state.events}`)
  let retained = 0
  for (const { key: channel, value: row } of channels.getRange({})) {
    if (!isChannelRow(row)) throw new Error(`the channel ${channel} is garbled`)
    const [id, first, next, count, , , last] = row
    const found = positions.getKeysCount({ start: [id, 0], end: [id, END] })
    if (found !== count) throw new Error(`the channel ${channel} holds ${found} entries, and counts ${count}`)
    retained += count
    if (count === 0) continue
    const [oldest] = positions.getRange({ start: [id, 0], end: [id, END], limit: 1 })
    const [latest] = positions.getRange({ start: [id, END], end: [id, 0], reverse: true, limit: 1 })
    if (oldest === undefined || ordinalOf(oldest.value) !== first)
      throw new Error(`the channel ${channel} begins with another entry`)
    if (latest === undefined || latest.key[1] > last || (ordinalOf(latest.value) ?? END) >= next)
      throw new Error(`the channel ${channel} ends with another entry`)
  }
  const all = positions.getKeysCount({})
  if (all !== retained) throw new Error(`its channels hold ${all} entries, and count ${retained}`)
}

function ordinalOf(position: PositionRow): number | undefined {
  return isPosition(position) ? position[0] : undefined
}
