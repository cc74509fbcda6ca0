import type { Channel } from '../../events/channel.ts'
import type { Cursor } from '../../events/cursor.ts'
import { type Entry, parseEntry } from './redis-entry.ts'

/** An entry of the tail: the events of one call, and the name of its predecessor. */
export interface TailEntry {
  readonly pos: number
  readonly nonce: string
  readonly before: string
  readonly head: Cursor
  readonly entries: readonly Entry[]
  readonly evictions: readonly (readonly [Channel, number])[]
  /** Whether some of its entries could not be read, and whether one of them has a number. */
  readonly isCorrupt: boolean
  readonly hasHole: boolean
  /** Whether it records a loss of entries; then `head` is the number of the loss. */
  readonly isLoss: boolean
}

export type RawTailEntry = readonly [id: string, fields: readonly string[]]

/** Five fields of the entry itself, then two of each event: its number, or '-', and its text. */
const OWN_FIELDS = 10

/** Parses an entry, or returns undefined for one that no hub has written. */
export function readTailEntry([id, fields]: RawTailEntry, epoch: string): TailEntry | undefined {
  const [p, before, n, nonce, h, head, w, witness, x, evictions] = fields as string[]
  const pos = /^(\d+)-0$/.exec(id)?.[1]
  if (pos === undefined || p !== 'p' || n !== 'n' || h !== 'h' || w !== 'w' || x !== 'x') return undefined
  const isLoss = evictions === '!'
  const evicted = isLoss ? [] : readEvictions(evictions ?? '')
  if (evicted === undefined) return undefined
  let isCorrupt = false
  let hasHole = false
  const entries: Entry[] = []
  for (let at = OWN_FIELDS; at < fields.length; at += 2) {
    const seq = fields[at] as string
    const entry = parseEntry(fields[at + 1] ?? '', seq === '-' ? null : Number(seq), epoch)
    if (entry !== undefined) entries.push(entry)
    else {
      isCorrupt = true
      hasHole ||= seq !== '-'
    }
  }
  return {
    pos: Number(pos),
    before: before as string,
    nonce: nonce as string,
    head: { seq: Number(head), witness: witness as string },
    entries,
    evictions: evicted,
    isCorrupt,
    hasHole,
    isLoss
  }
}

function readEvictions(text: string): TailEntry['evictions'] | undefined {
  if (text === '') return []
  try {
    return Object.entries(JSON.parse(text)) as [Channel, number][]
  } catch {
    // No hub has written this text.
    return undefined
  }
}
