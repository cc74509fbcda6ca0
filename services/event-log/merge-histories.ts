import type { ChannelHistory } from './channel-history.ts'
import type { MemoryEntry } from './memory-entry.ts'

/**
 * The entries of several channels as one sequence, each once: at most `limit` of those after the number `after`, or of the
 * newest `last`. Costs a bisection a channel, and then what it returns times the number of channels. A place with an entry of
 * another number or channel is a hole; the number of the newest hole is returned, 0 if there is none.
 */
export function mergeHistories(
  histories: readonly ChannelHistory[],
  after: number,
  limit: number,
  last: number | undefined
): { events: MemoryEntry[]; remaining: number; hole: number } {
  const start = last === undefined ? after : lastStart(histories, last)
  const at = histories.map((history) => history.heldFrom(history.indexAfter(start)))
  const events: MemoryEntry[] = []
  let hole = 0
  for (;;) {
    const seq = lowest(histories, at)
    if (seq === Number.POSITIVE_INFINITY) return { events, remaining: 0, hole }
    if (events.length === limit) return { events, remaining: countRest(histories, at), hole }
    let entry: MemoryEntry | undefined
    histories.forEach((history, index) => {
      const here = at[index] as number
      if (history.seqAt(here) !== seq) return
      const found = history.entryAt(here)
      if (isFiled(found, history, seq)) entry = found
      else hole = seq
      at[index] = history.heldFrom(here + 1)
    })
    if (entry !== undefined) events.push(entry)
  }
}

/** Whether the entry is the one that its place says: of this number, and filed under this channel. */
function isFiled(entry: MemoryEntry | undefined, { channel }: ChannelHistory, seq: number): boolean {
  return entry?.cursor?.seq === seq && entry.channels.includes(channel)
}

function lowest(histories: readonly ChannelHistory[], at: readonly number[]): number {
  let seq = Number.POSITIVE_INFINITY
  for (let index = 0; index < histories.length; index++) {
    seq = Math.min(seq, (histories[index] as ChannelHistory).seqAt(at[index] as number))
  }
  return seq
}

function countRest(histories: readonly ChannelHistory[], at: readonly number[]): number {
  return histories.reduce((count, history, index) => count + history.countFrom(at[index] as number), 0)
}

/** The number after which the newest `last` entries begin: they are among the newest `last` of each channel. */
function lastStart(histories: readonly ChannelHistory[], last: number): number {
  const seqs = new Set<number>()
  for (const history of histories) {
    for (
      let at = history.heldFrom(history.indexOfLast(last));
      history.entryAt(at) !== undefined;
      at = history.heldFrom(at + 1)
    ) {
      seqs.add(history.seqAt(at))
    }
  }
  const sorted = [...seqs].sort((a, b) => b - a)
  return (sorted[last - 1] ?? 1) - 1
}
