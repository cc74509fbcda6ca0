import { crc32 } from 'node:zlib'
import type { Channel } from '../../events/channel.ts'
import { type Cursor, formatCursor } from '../../events/cursor.ts'
import type { Final, LogEvent, NewEvent } from '../../events/log-event.ts'
import { isTrace } from '../../events/trace.ts'
import type { EntryFields, EntryRow, Tables } from './tables.ts'

/**
 * The row of an entry. Its checksum covers its number and all its fields, so that damage to any of them shows; but not its trace,
 * which earlier versions do not know.
 */
export function entryRow(seq: number, fields: EntryFields, { except, trace }: Excepting): EntryRow {
  if (trace !== undefined) return [...fields, checksum(seq, fields, except ?? []), [...(except ?? [])], trace]
  const sum = checksum(seq, fields, except)
  return except === undefined ? [...fields, sum] : [...fields, sum, [...except]]
}

/** The fields that few entries have. */
type Excepting = Pick<NewEvent, 'except' | 'trace'>

/**
 * The row of an entry, or undefined if the store does not hold that entry as it was written. Pages of a damaged file may
 * hold rows of other entries, or parts of them.
 */
export function entryAt(tables: Pick<Tables, 'entries'>, seq: number): EntryRow | undefined {
  let row: unknown
  try {
    row = tables.entries.get(seq)
  } catch {
    // The row is not MessagePack: the entry is lost, and its readers report a gap.
    return undefined
  }
  return isEntry(row) && row[7] === checksum(seq, row, row[8]) ? row : undefined
}

/** The event of a row that was checked, or, without a cursor, of a transient event. */
export function eventOf(
  cursor: Cursor | null,
  row: TransientFields | EntryFields | EntryRow,
  { except, trace }: Excepting
): LogEvent {
  const [, time, , channels, event, data, final] = row
  const id = cursor === null ? null : formatCursor(cursor)
  return { cursor, id, channels, event, data, time, final, except, trace, frame: undefined }
}

/** The event of a row that was checked. */
export function eventOfRow(seq: number, row: EntryRow): LogEvent {
  const { 8: except = [], 9: trace } = row
  return eventOf({ seq, witness: row[0] }, row, {
    except: except.length === 0 ? undefined : except,
    trace: isTrace(trace) ? trace : undefined
  })
}

type TransientFields = [witness: null, number, number, Channel[], string, string, Final]

function checksum(seq: number, row: EntryFields | EntryRow, except: readonly string[] | undefined): number {
  const [witness, time, appendedAt, channels, event, data, final] = row
  const text = `${seq} ${witness} ${time} ${appendedAt} ${final} ${event}\n${channels.join('\n')}\n\n${data}`
  return crc32(except === undefined ? text : `${except.join('\n')}\n\n${text}`)
}

function isEntry(row: unknown): row is EntryRow {
  if (!Array.isArray(row)) return false
  const [witness, time, appendedAt, channels, event, data, final, , except = []] = row
  return (
    [witness, event, data].every((text) => typeof text === 'string') &&
    Number.isFinite(time) &&
    Number.isFinite(appendedAt) &&
    (typeof final === 'boolean' || final === 'failed') &&
    Array.isArray(channels) &&
    channels.every((channel) => typeof channel === 'string') &&
    Array.isArray(except) &&
    except.every((user) => typeof user === 'string')
  )
}
