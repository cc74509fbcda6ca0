import type { Channel } from '../../events/channel.ts'
import type { Cursor } from '../../events/cursor.ts'
import { type Entry, parseEntry } from './redis-entry.ts'

/** An entry of a tail: the events of one call for this node, and the name of its predecessor. */
export interface TailEntry {
  readonly pos: number
  readonly nonce: string
  readonly before: string
  /** The weight of all entries before this one, by the count of Redis. */
  readonly weightBefore: number
  /** The head of the log up to which the tail is complete with this entry. */
  readonly head: Cursor
  readonly entries: readonly Entry[]
  readonly evictions: readonly (readonly [Channel, number])[]
  /** Whether some of its entries could not be read, and whether one of them has a number. */
  readonly isCorrupt: boolean
  readonly hasHole: boolean
  /** Whether it records a loss of entries; then `head` is the loss. */
  readonly isLoss: boolean
}

export type RawTailEntry = readonly [id: string, fields: readonly string[]]

/** Two fields of the entry itself, then one of each event: its number, or '-', and its text. */
const OWN_FIELDS = 4
const POSITION = /^(\d+)-0$/
/** The predecessor's name, its own, the head, and the weight of all earlier entries. */
const HEADER = /^(\w+) (\w+) (\d+) (\w*) (\d+)$/

/** Parses an entry, or returns undefined for one that no hub has written. */
export function readTailEntry([id, fields]: RawTailEntry, epoch: string): TailEntry | undefined {
  const pos = POSITION.exec(id)?.[1]
  const [n, header = '', x, evictions] = fields
  const [, before, nonce, head, witness, weight] = HEADER.exec(header) ?? []
  if (pos === undefined || n !== 'n' || x !== 'x' || before === undefined) return undefined
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
    before,
    weightBefore: Number(weight),
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
