import type { NewEvent } from '../../events/log-event.ts'
import { entryRow } from './entries.ts'
import type { EntryFields, PositionRow, State, Tables } from './tables.ts'

type EntryTables = Pick<Tables, 'entries' | 'shared' | 'expiring'>

/** The retained entries, each once for all its channels, and their totals in the state. */
export class RetainedEntries {
  readonly #tables: EntryTables
  readonly #state: State

  constructor(tables: EntryTables, state: State) {
    this.#tables = tables
    this.#state = state
  }

  /** @param until log time at which the entry expires; 0 if it does not. */
  add(
    seq: number,
    fields: EntryFields,
    { channels, except, trace }: Pick<NewEvent, 'channels' | 'except' | 'trace'>,
    bytes: number,
    until: number
  ): void {
    const { entries, shared, expiring } = this.#tables
    const state = this.#state
    entries.putSync(seq, entryRow(seq, fields, { except, trace }))
    state.events++
    state.bytes += bytes
    if (state.oldest > seq) {
      state.oldest = seq
      state.oldestAt = fields[2]
    }
    if (channels.length > 1) shared.putSync(seq, channels.length)
    if (until === 0) return
    expiring.putSync([until, seq], true)
    state.nextUntil = Math.min(state.nextUntil, until)
  }

  /** Releases the entry for one channel; the last one removes it. */
  release(seq: number, [, bytes, until, , isShared]: PositionRow): void {
    const { entries, shared } = this.#tables
    const state = this.#state
    if (isShared) {
      const retained = (shared.get(seq) ?? 1) - 1
      if (retained > 0) {
        shared.putSync(seq, retained)
        return
      }
      shared.removeSync(seq)
    }
    if (entries.removeSync(seq)) state.events--
    state.bytes = Math.max(0, state.bytes - bytes)
    if (until > 0) this.expired(until, seq)
    if (seq === state.oldest) this.#findOldest()
  }

  /** Removes an entry that is damaged, or without positions. Positions count it until they are removed. */
  discard(seq: number): void {
    if (this.#tables.entries.removeSync(seq)) this.#state.events--
    this.#findOldest()
  }

  /** The entry that expires first. */
  get nextExpiring(): [until: number, seq: number] | undefined {
    const [first] = this.#tables.expiring.getKeys({ limit: 1 })
    return first
  }

  expired(until: number, seq: number): void {
    this.#tables.expiring.removeSync([until, seq])
    if (until <= this.#state.nextUntil) this.#state.nextUntil = this.nextExpiring?.[0] ?? Number.POSITIVE_INFINITY
  }

  /** The oldest entry is too old, and inboxes retain it. */
  aged(): void {
    this.#findOldest()
  }

  #findOldest(): void {
    const [seq, appendedAt] = this.#next() ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
    this.#state.oldest = seq
    this.#state.oldestAt = appendedAt
  }

  /** Number and time of the next entry after the oldest. The age of a damaged one is unknown: it is dropped next. */
  #next(): [seq: number, appendedAt: number] | undefined {
    const { entries } = this.#tables
    const range = { start: this.#state.oldest + 1, limit: 1 }
    try {
      for (const { key, value } of entries.getRange(range)) return [key, Number.isFinite(value?.[2]) ? value[2] : 0]
    } catch {
      // The row is not MessagePack.
      for (const key of entries.getKeys(range)) return [key, 0]
    }
    return undefined
  }
}
