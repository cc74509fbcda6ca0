import type { Channel } from '../../events/channel.ts'
import { type ChannelKind, kindOf } from '../retention.ts'
import { sizeClassOf } from '../size-classes.ts'
import { type ChannelRow, END, isPosition, type PositionRow, type Tables } from './tables.ts'

/** Number of positions that are counted at once. */
const BLOCK = 4_096

/** One channel of the store while it is being written: its row in the table, and the changes to its positions. */
export class ChannelPositions {
  readonly channel: Channel
  readonly kind: ChannelKind
  readonly id: number
  first: number
  next: number
  count: number
  bytes: number
  evicted: number
  last: number
  /** As the tables have it: whether it counts as having entries, its size class, weight, and eviction mark (0 without one). */
  storedAs: { isRetained: boolean; sizeClass: number; bytes: number; emptied: number }
  /** Its content before this transaction. */
  readonly stored: { readonly count: number; readonly bytes: number }
  readonly #tables: Tables

  constructor(tables: Tables, channel: Channel, row: ChannelRow, isStored: boolean) {
    this.#tables = tables
    this.channel = channel
    this.kind = kindOf(channel)
    const [id, first, next, count, bytes, evicted, last] = row
    this.id = id
    this.first = first
    this.next = next
    this.count = count
    this.bytes = bytes
    this.evicted = evicted
    this.last = last
    this.stored = { count, bytes }
    this.storedAs = {
      isRetained: count > 0,
      sizeClass: sizeClassOf(bytes),
      bytes,
      emptied: isStored && count === 0 ? evicted : 0
    }
  }

  get row(): ChannelRow {
    return [this.id, this.first, this.next, this.count, this.bytes, this.evicted, this.last]
  }

  push(seq: number, bytes: number, rest: [until: number, appendedAt: number, isShared: boolean, key: string | null]) {
    const ordinal = this.next++
    this.#tables.positions.putSync([this.id, seq], [ordinal, bytes, ...rest])
    if (ordinal % BLOCK === 0) this.#tables.blocks.putSync([this.id, ordinal / BLOCK], [seq, 0])
    this.count++
    this.bytes += bytes
    this.last = seq
  }

  /** The number of the oldest entry, and its position unless that is damaged. */
  oldest(): { seq: number; position?: PositionRow } | undefined {
    const { positions } = this.#tables
    const range = { start: [this.id, 0] as [number, number], end: [this.id, END] as [number, number], limit: 1 }
    try {
      for (const { key, value } of positions.getRange(range))
        return isPosition(value) ? { seq: key[1], position: value } : { seq: key[1] }
    } catch {
      // The row is not MessagePack.
      for (const key of positions.getKeys(range)) return { seq: key[1] }
    }
    return undefined
  }

  /** Whether the entry has a position here. */
  has(seq: number): boolean {
    return this.#positionOf(seq) !== undefined
  }

  /** Log time at which the entry expires: 0 if it does not, undefined if it has no position here. */
  expiresAt(seq: number): number | undefined {
    return this.#positionOf(seq)?.[2]
  }

  collapseKeyOf(seq: number): string | null | undefined {
    return this.#positionOf(seq)?.[5]
  }

  /** Resets counts that exceed the rows of a damaged store. */
  correct(): void {
    this.first = this.next
    this.evicted = Math.max(this.evicted, this.last)
    this.count = 0
    this.bytes = 0
  }

  /**
   * Removes the position of an entry; undefined if it has none, or a damaged one.
   * @param known the position, if the caller has just read it.
   */
  remove(seq: number, known?: PositionRow): PositionRow | undefined {
    const { positions, collapsed } = this.#tables
    const position = known ?? this.#positionOf(seq)
    if (position === undefined) {
      if (positions.removeSync([this.id, seq])) this.count = Math.max(0, this.count - 1)
      return undefined
    }
    const [ordinal, bytes, , , , collapseKey] = position
    const hasHoles = this.next - this.first > this.count
    positions.removeSync([this.id, seq])
    this.count--
    this.bytes -= bytes
    if (collapseKey !== null && collapsed.get([this.id, collapseKey]) === seq)
      collapsed.removeSync([this.id, collapseKey])
    if (ordinal === this.first) this.#moveFirst(hasHoles)
    else this.#noteHole(Math.floor(ordinal / BLOCK))
    return position
  }

  /** Deletes the channel's remaining rows. */
  dropBlocks(): void {
    this.#tables.blocks.removeSync([this.id, Math.floor(this.next / BLOCK)])
  }

  #positionOf(seq: number): PositionRow | undefined {
    try {
      const row: unknown = this.#tables.positions.get([this.id, seq])
      return isPosition(row) ? row : undefined
    } catch {
      // The row is not MessagePack.
      return undefined
    }
  }

  #moveFirst(hasHoles: boolean): void {
    const before = Math.floor(this.first / BLOCK)
    if (this.count === 0) this.first = this.next
    else this.first = hasHoles ? this.#firstRetained() : this.first + 1
    const now = Math.floor(this.first / BLOCK)
    if (now === before) return
    const { blocks } = this.#tables
    for (const key of [...blocks.getKeys({ start: [this.id, before], end: [this.id, now] })]) blocks.removeSync(key)
  }

  #firstRetained(): number {
    return this.oldest()?.position?.[0] ?? this.first + 1
  }

  /** The block of the oldest position is counted position by position, and may have no row. */
  #noteHole(block: number): void {
    const row = this.#tables.blocks.get([this.id, block])
    if (row !== undefined) this.#tables.blocks.putSync([this.id, block], [row[0], row[1] + 1])
  }
}

/** Counts a channel's entries from one of them on. Without holes that is a difference, else a block is walked. */
export function countFrom(tables: Tables, row: ChannelRow, seq: number, ordinal: number): number {
  const [id, first, next, count] = row
  if (next - first === count) return next - ordinal
  const { positions, blocks } = tables
  const block = Math.floor(ordinal / BLOCK)
  const lastBlock = Math.floor((next - 1) / BLOCK)
  const end = block === lastBlock ? END : (blocks.get([id, block + 1])?.[0] ?? END)
  let total = positions.getKeysCount({ start: [id, seq], end: [id, end] })
  for (const { key, value } of blocks.getRange({ start: [id, block + 1], end: [id, lastBlock + 1] })) {
    total += Math.min(BLOCK, next - key[1] * BLOCK) - value[1]
  }
  return total
}
