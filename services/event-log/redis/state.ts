import type { Cursor } from '../../cursor.ts'
import type { LogStats } from '../event-log.ts'

/** What every answer of a script begins with: where the log is, and what it holds. */
export interface LogState {
  readonly life: string
  readonly head: Cursor
  readonly stats: LogStats
  /** The rest of the answer. */
  readonly rest: readonly (string | number)[]
}

const FIELDS = 6

export function readState(reply: unknown): LogState {
  const values = reply as (string | number)[]
  const [life, head, witness, events, bytes, channels] = values as [string, number, string, number, number, number]
  return {
    life,
    head: { seq: head, witness },
    stats: { kind: 'redis', events, bytes, channels, head },
    rest: values.slice(FIELDS)
  }
}
