import { MAX_PAGE_TEXT } from '../event-log.ts'
import { SequenceMerge } from '../sequence-merge.ts'
import type { ChannelHistory } from './channel-history.ts'
import type { MemoryEntry } from './memory-entry.ts'

/**
 * Merges the entries of several channels, each once: up to a page of those after the number `after`, or of the newest `last`.
 * Costs a bisection for each channel, and then the size of the result times the number of channels. A position with an entry
 * of another number or channel is a hole; also returns the number of the newest hole, or 0.
 */
export function mergeHistories(
  histories: readonly ChannelHistory[],
  after: number,
  limit: number,
  last: number | undefined
): { events: MemoryEntry[]; remaining: number; hole: number } {
  const start = last === undefined ? after : lastStart(histories, last)
  const at = histories.map((history) => history.retainedFrom(history.indexAfter(start)))
  const merge = new SequenceMerge(histories.map((history, index) => history.seqAt(at[index] as number)))
  const events: MemoryEntry[] = []
  let hole = 0
  let text = 0
  for (let seq = merge.lowest; seq !== Number.POSITIVE_INFINITY; seq = merge.lowest) {
    if (events.length === limit || text >= MAX_PAGE_TEXT) return { events, remaining: countRest(histories, at), hole }
    let entry: MemoryEntry | undefined
    while (merge.lowest === seq) {
      const index = merge.first
      const history = histories[index] as ChannelHistory
      const here = at[index] as number
      const found = history.entryAt(here)
      if (isFiled(found, history, seq)) entry = found
      else hole = seq
      const next = history.retainedFrom(here + 1)
      at[index] = next
      merge.advance(history.seqAt(next))
    }
    if (entry === undefined) continue
    events.push(entry)
    text += entry.data.length
  }
  return { events, remaining: 0, hole }
}

/** Whether the entry matches its position: it has this number, and is filed under this channel. */
function isFiled(entry: MemoryEntry | undefined, { channel }: ChannelHistory, seq: number): boolean {
  return entry?.cursor?.seq === seq && entry.channels.includes(channel)
}

function countRest(histories: readonly ChannelHistory[], at: readonly number[]): number {
  return histories.reduce((count, history, index) => count + history.countFrom(at[index] as number), 0)
}

/** The number after which the newest `last` entries begin: the channels are walked back together from their ends. */
function lastStart(histories: readonly ChannelHistory[], last: number): number {
  const at = histories.map((history) => history.indexOfLast(1))
  // Counted down, so that the highest number comes first.
  const downFrom = (history: ChannelHistory, index: number) =>
    history.entryAt(index) === undefined ? Number.POSITIVE_INFINITY : -history.seqAt(index)
  const merge = new SequenceMerge(histories.map((history, index) => downFrom(history, at[index] as number)))
  let seq = 1
  for (let left = last; left > 0; left--) {
    if (merge.lowest === Number.POSITIVE_INFINITY) return 0
    seq = -merge.lowest
    while (merge.lowest === -seq) {
      const index = merge.first
      const history = histories[index] as ChannelHistory
      const before = history.retainedBefore(at[index] as number)
      at[index] = before
      merge.advance(downFrom(history, before))
    }
  }
  return seq - 1
}
