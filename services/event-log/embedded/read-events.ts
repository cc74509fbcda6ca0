import { LogUnavailableError } from '../../errors.ts'
import { type Channel, isInboxChannel } from '../../events/channel.ts'
import { type Cursor, sameEpoch } from '../../events/cursor.ts'
import type { GapReason } from '../../events/gap-reason.ts'
import type { LogEvent } from '../../events/log-event.ts'
import { MAX_PAGE_TEXT, type ReadFrom, type ReadQuery, type ReadResult } from '../event-log.ts'
import { SequenceMerge } from '../sequence-merge.ts'
import { type WitnessKeys, witnessOf } from '../witnesses.ts'
import { countFrom } from './channel-positions.ts'
import type { RecentEvents } from './embedded-recent-events.ts'
import { entryAt, eventOfRow } from './entries.ts'
import { type ChannelRow, channelRow, END, type PositionRow, readState, type Tables } from './tables.ts'

/** How many positions are fetched at a time: at first, and at most. */
const MIN_FETCH = 8
const MAX_FETCH = 256

export interface ReadingParts {
  readonly tables: Tables
  readonly epoch: string
  readonly witnessKeys: WitnessKeys
  readonly recent: RecentEvents
  /** How long an event is kept, in milliseconds. */
  readonly age: number
}

interface Position {
  readonly seq: number
  readonly row: PositionRow
}

/**
 * Reads the store as it was last committed. Skips entries that are too old or past their `ttl`, because they are dropped a
 * while later; until then they may be counted as remaining. A position whose entry is missing, damaged or filed under other
 * channels is a hole: it counts as evicted.
 * @throws {LogUnavailableError} when the store is damaged so that it cannot be read.
 */
export function readEvents(parts: ReadingParts, query: ReadQuery, now: number): ReadResult {
  const { tables } = parts
  const state = readState(tables)
  if (state === undefined) throw new LogUnavailableError('the store is damaged: its state is gone')
  const head: Cursor = { seq: state.head, witness: state.witness }
  const { after, gap } = recognise(parts, query.from, head)
  const isAging = state.oldestAt <= now - parts.age
  const hasExpired = state.nextUntil <= now
  let evicted = 0
  const readers: PositionReader[] = []
  for (const channel of query.channels) {
    const found = channelRow(tables, channel)
    // The content of a damaged channel is unknown: all of it counts as evicted.
    if (found === 'damaged') evicted = head.seq
    const row = found === 'damaged' ? undefined : found
    const aged = row !== undefined && isAging && !isInboxChannel(channel) ? lastAged(tables, row, now - parts.age) : 0
    evicted = Math.max(evicted, row?.[5] ?? state.forgotten, aged)
    if (row !== undefined) readers.push(new PositionReader(tables, channel, row, aged, hasExpired ? now : 0))
  }
  const isCursor = typeof query.from === 'object' && 'seq' in query.from
  const last = typeof query.from === 'object' && 'last' in query.from ? query.from.last : undefined
  const start = last === undefined ? after : startOfLast(readers, last)
  for (const reader of readers) reader.startAfter(start)
  const { events, hole } = mergePositions(parts, readers, query.limit)
  evicted = Math.max(evicted, hole)
  const remaining = readers.reduce((sum, reader) => sum + reader.countRest(), 0)
  const next = remaining === 0 ? head : (events[events.length - 1]?.cursor ?? head)
  return { events, remaining, next, evicted, gap: gap ?? (isCursor && evicted > after ? 'evicted' : undefined) }
}

/** The number after which to read. A cursor that this log does not recognise yields a gap, and all retained entries. */
function recognise(parts: ReadingParts, from: ReadFrom, head: Cursor): { after: number; gap?: GapReason } {
  if (from === 'head') return { after: head.seq }
  if (from === 'oldest' || 'last' in from) return { after: 0 }
  if (!sameEpoch(from.witness, parts.epoch)) return { after: 0, gap: 'reset' }
  if (from.seq > head.seq) return { after: 0, gap: 'diverged' }
  const own = witnessOf(parts.witnessKeys, from.seq)
  const known = from.seq === head.seq ? head.witness : own && parts.epoch + own
  return known !== undefined && known !== from.witness ? { after: 0, gap: 'diverged' } : { after: from.seq }
}

function eventAt({ tables, recent }: ReadingParts, seq: number): LogEvent | undefined {
  const known = recent.get(seq)
  if (known !== undefined) return known
  const row = entryAt(tables, seq)
  if (row === undefined) return undefined
  const event = eventOfRow(seq, row)
  recent.add(event)
  return event
}

/** The number of the newest entry of a channel that is too old, or 0. Entries are in the order of their time. */
function lastAged(tables: Tables, [id, , , count, , , last]: ChannelRow, horizon: number): number {
  const at = (seq: number) => firstPosition(tables, id, seq)
  let oldest = count === 0 ? undefined : at(0)
  if (oldest === undefined || oldest.row[3] > horizon) return 0
  for (let high = last; oldest.seq < high; ) {
    const middle = Math.floor((oldest.seq + high + 1) / 2)
    const position = at(middle)
    if (position !== undefined && position.row[3] <= horizon) oldest = position
    else high = middle - 1
  }
  return oldest.seq
}

function firstPosition(tables: Tables, id: number, seq: number): Position | undefined {
  for (const { key, value } of tables.positions.getRange({ start: [id, seq], end: [id, END], limit: 1 })) {
    return { seq: key[1], row: value }
  }
  return undefined
}

/** Walks along the positions of one channel, and fetches them as needed. */
class PositionReader {
  readonly channel: Channel
  readonly #tables: Tables
  readonly #row: ChannelRow
  readonly #aged: number
  readonly #now: number
  #fetched: Position[] = []
  #at = 0
  #after = 0
  #size = MIN_FETCH
  #isAtEnd = false

  /** @param now entries that expired until then are skipped; 0 if none did. */
  constructor(tables: Tables, channel: Channel, row: ChannelRow, aged: number, now: number) {
    this.channel = channel
    this.#tables = tables
    this.#row = row
    this.#aged = aged
    this.#now = now
  }

  startAfter(seq: number): void {
    this.#after = Math.max(seq, this.#aged)
    this.#isAtEnd = this.#row[3] === 0 || this.#row[6] <= this.#after
  }

  /** The next position, or undefined at the end. */
  get next(): Position | undefined {
    while (this.#at === this.#fetched.length && !this.#isAtEnd) this.#fetch()
    return this.#fetched[this.#at]
  }

  advance(): void {
    this.#at++
  }

  countRest(): number {
    const { next } = this
    // A count that damage made too small must not end the read.
    if (next === undefined) return 0
    if (this.#now > 0 && isInboxChannel(this.channel)) return this.#countUnexpired(next.seq)
    return Math.max(1, countFrom(this.#tables, this.#row, next.seq, next.row[0]))
  }

  /** Counts of inboxes are exact. Only for a moment after an expiry they cost a walk. */
  #countUnexpired(seq: number): number {
    const id = this.#row[0]
    let count = 0
    for (const { value } of this.#tables.positions.getRange({ start: [id, seq], end: [id, END] }))
      if (!this.#isExpired(value)) count++
    return count
  }

  /** The numbers of the channel from the newest on backwards, fetched as needed. */
  *back(): Generator<number, void> {
    const [id, , , retained] = this.#row
    let before = retained === 0 ? 0 : END
    for (let limit = MIN_FETCH; before > 0; limit = Math.min(2 * limit, MAX_FETCH)) {
      const range = {
        start: [id, before] as [number, number],
        end: [id, this.#aged] as [number, number],
        reverse: true,
        limit
      }
      const positions = [...this.#tables.positions.getRange(range)]
      for (const { key, value } of positions) if (!this.#isExpired(value)) yield key[1]
      before = positions.length < limit ? 0 : (positions.at(-1)?.key[1] ?? 1) - 1
    }
  }

  #fetch(): void {
    const id = this.#row[0]
    const limit = this.#size
    const range = { start: [id, this.#after + 1] as [number, number], end: [id, END] as [number, number], limit }
    this.#fetched = []
    this.#at = 0
    let fetched = 0
    for (const { key, value } of this.#tables.positions.getRange(range)) {
      fetched++
      this.#after = key[1]
      if (!this.#isExpired(value)) this.#fetched.push({ seq: key[1], row: value })
    }
    this.#isAtEnd = fetched < limit
    this.#size = Math.min(2 * limit, MAX_FETCH)
  }

  #isExpired(position: PositionRow): boolean {
    return position[2] > 0 && position[2] <= this.#now
  }
}

/** The number after which the newest `last` entries begin: the channels are walked back together from their ends. */
function startOfLast(readers: readonly PositionReader[], last: number): number {
  const walks = readers.map((reader) => reader.back())
  // Counted down, so that the highest number comes first.
  const downFrom = (walk: Generator<number, void>) => -(walk.next().value ?? Number.NEGATIVE_INFINITY)
  const merge = new SequenceMerge(walks.map(downFrom))
  let seq = 1
  for (let left = last; left > 0; left--) {
    if (merge.lowest === Number.POSITIVE_INFINITY) return 0
    seq = -merge.lowest
    while (merge.lowest === -seq) merge.advance(downFrom(walks[merge.first] as Generator<number, void>))
  }
  return seq - 1
}

/** Merges the entries of several channels, each once, up to a page; also returns the number of the newest hole. */
function mergePositions(
  parts: ReadingParts,
  readers: readonly PositionReader[],
  limit: number
): { events: LogEvent[]; hole: number } {
  const numberOf = ({ next }: PositionReader) => next?.seq ?? Number.POSITIVE_INFINITY
  const merge = new SequenceMerge(readers.map(numberOf))
  const events: LogEvent[] = []
  let hole = 0
  let text = 0
  for (let seq = merge.lowest; seq !== Number.POSITIVE_INFINITY; seq = merge.lowest) {
    if (events.length === limit || text >= MAX_PAGE_TEXT) break
    const event = eventAt(parts, seq)
    let isRequested = false
    while (merge.lowest === seq) {
      const reader = readers[merge.first] as PositionReader
      if (event?.channels.includes(reader.channel)) isRequested = true
      else hole = seq
      reader.advance()
      merge.advance(numberOf(reader))
    }
    if (event === undefined || !isRequested) continue
    events.push(event)
    text += event.data.length
  }
  return { events, hole }
}
