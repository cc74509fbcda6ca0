import type { Channel } from '../../events/channel.ts'
import { type Cursor, formatCursor } from '../../events/cursor.ts'
import type { Final, LogEvent, NewEvent } from '../../events/log-event.ts'
import { isEventName } from '../../events/wire-format.ts'
import { digitsOf, traceOfDigits } from './trace-digits.ts'

// An entry is text: a line of its own witness, its time, its expiry, the number of the entry that it retracts or 0, and its trace,
// of which the last two may be missing, which the script writes; a line of its channels, a line of its collapse key, a line of its name and of the users that it excepts, each as JSON,
// so that none of them contains a line break; and its unescaped data.

/** The fields of an event that a script reads besides its text: see append.lua. */
export type EntryHeader = readonly [
  witness: string,
  isTransient: 0 | 1,
  ttl: number,
  idempotency: '' | readonly [scope: string, key: string, digest: string],
  streams: number,
  channels: readonly string[],
  collapseKey: string,
  condition?: readonly ['retracts', seq: number, witness: string] | readonly ['replaces', seq: number] | false,
  trace?: string
]

export function headerOf(event: NewEvent, witness: string, lifetime = -1): EntryHeader {
  const { transient, idempotency, streams, channels, collapseKey, trace } = event
  const { scope = '', key = '', digest = '' } = idempotency ?? {}
  const once = idempotency === undefined ? '' : ([scope, key, digest] as const)
  const header = [witness, transient ? 1 : 0, lifetime, once, streams, channels, collapseText(collapseKey)] as const
  const condition = conditionOf(event)
  if (trace !== undefined) return [...header, condition ?? false, digitsOf(trace)]
  return condition === undefined ? header : [...header, condition]
}

function conditionOf({ retracts, replaces }: NewEvent): EntryHeader[7] {
  if (retracts !== undefined) return ['retracts', retracts.seq, retracts.witness]
  return replaces === undefined ? undefined : ['replaces', replaces]
}

/** The character before an event's name. */
const MARKS = new Map<Final, string>([
  [false, '-'],
  [true, '!'],
  ['failed', 'x']
])

function finalIn(mark: string | undefined): Final {
  return mark === 'x' ? 'failed' : mark === '!'
}

/** The text of an event, but for its first line. */
export function textOf({ channels, collapseKey, event, final, except, data }: NewEvent): string {
  // A node of an earlier version reads no name in an array, and reports a gap.
  const name = JSON.stringify(except === undefined ? event : [event, ...except])
  return `${JSON.stringify(channels)}\n${collapseText(collapseKey)}\n${MARKS.get(final)}${name}\n${data}`
}

function collapseText(collapseKey: string | undefined): string {
  return collapseKey === undefined ? '' : JSON.stringify(collapseKey.toWellFormed())
}

/** An event as it was stored. */
export interface Entry extends LogEvent {
  readonly collapseKey: string | undefined
  /** When it expires, in milliseconds since the Unix epoch; undefined if it does not. */
  readonly expiresAt: number | undefined
  /** The number of the entry that it retracts. */
  readonly retracted: number | undefined
}

/** Reads an entry, or undefined for a text that no hub has written. */
export function parseEntry(text: string, seq: number | null, epoch: string): Entry | undefined {
  const first = text.indexOf('\n')
  const second = text.indexOf('\n', first + 1)
  const third = text.indexOf('\n', second + 1)
  const fourth = text.indexOf('\n', third + 1)
  const [witness = '', time, expiresAt, retracted, ...trace] = text.slice(0, first).split(' ')
  if (first === -1 || second === -1 || third === -1 || fourth === -1 || !/^[0-9a-z]{6}$/.test(witness)) return undefined
  try {
    const collapse = text.slice(second + 1, third)
    const name: unknown = JSON.parse(text.slice(third + 2, fourth))
    const [event, ...except]: unknown[] = Array.isArray(name) ? name : [name]
    if (!isEventName(event) || !except.every((user) => typeof user === 'string')) return undefined
    const cursor: Cursor | null = seq === null ? null : { seq, witness: epoch + witness }
    return {
      cursor,
      id: cursor === null ? null : formatCursor(cursor),
      channels: channelsIn(text.slice(first + 1, second)),
      event,
      data: text.slice(fourth + 1),
      time: Number(time),
      final: finalIn(text[third + 1]),
      except: except.length === 0 ? undefined : (except as string[]),
      trace: trace.length === 0 ? undefined : traceOfDigits(trace),
      frame: undefined,
      collapseKey: collapse === '' ? undefined : (JSON.parse(collapse) as string),
      expiresAt: Number(expiresAt) < 0 ? undefined : Number(expiresAt),
      retracted: retracted === undefined || retracted === '0' ? undefined : Number(retracted)
    }
  } catch {
    // No hub has written this text; the reader reports it.
    return undefined
  }
}

function channelsIn(text: string): readonly Channel[] {
  const channels: unknown = JSON.parse(text)
  if (!Array.isArray(channels)) throw new TypeError('channels are an array')
  return channels as Channel[]
}
