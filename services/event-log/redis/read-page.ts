import type { Channel } from '../../events/channel.ts'
import { type Cursor, isSameEpoch } from '../../events/cursor.ts'
import type { GapReason } from '../../events/gap-reason.ts'
import type { LogEvent } from '../../events/log-event.ts'
import type { ReadQuery, ReadResult } from '../event-log.ts'
import type { LogState } from './log-state.ts'
import { parseEntry } from './redis-entry.ts'

/** The arguments of read.lua. */
export function queryArgs({ channels, from, limit }: ReadQuery): string[] {
  return [...positionOf(from), String(limit), ...channels]
}

function positionOf(from: ReadQuery['from']): [start: string, number: string, witness: string] {
  if (typeof from === 'string') return [from, '0', '']
  if ('last' in from) return ['last', String(from.last), '']
  return ['cursor', String(from.seq), from.witness]
}

/** The cursor after which a read begins; undefined if it begins elsewhere. */
export function cursorIn(from: ReadQuery['from']): Cursor | undefined {
  return typeof from === 'object' && 'seq' in from ? from : undefined
}

/** Parses the reply of read.lua. */
export function readPage({ epoch, rest }: LogState, channels: readonly Channel[]): ReadResult {
  const [gap, evicted, remaining, next, witness, ...entries] = rest as [string, number, number, number, string]
  const events: LogEvent[] = []
  let hole = 0
  for (let at = 0; at < entries.length; at += 2) {
    const seq = Number(entries[at])
    const event = parseEntry(entries[at + 1] ?? '', seq, epoch)
    // An entry that no hub has written, or that is filed under other channels, is a hole.
    if (event?.channels.some((channel) => channels.includes(channel))) events.push(event)
    else hole = seq
  }
  return {
    events,
    remaining,
    next: { seq: next, witness },
    evicted: Math.max(evicted, hole),
    gap: hole > 0 && gap === '' ? 'evicted' : gap === '' ? undefined : (gap as GapReason)
  }
}

/** The page without what the tail passes after its head; as it is if something was evicted meanwhile. */
export function cutAt(page: ReadResult, head: Cursor): ReadResult {
  if (page.next.seq <= head.seq || page.evicted > head.seq || page.gap !== undefined) return page
  if (!isSameEpoch(page.next, head)) return page
  return {
    ...page,
    events: page.events.filter(({ cursor }) => cursor !== null && cursor.seq <= head.seq),
    remaining: 0,
    next: head
  }
}
