import type { Cursor } from '../../cursor.ts'
import type { LogStats } from '../event-log.ts'

/** What every answer of a script begins with: where the log is, and what it holds. */
export interface LogState {
  readonly life: string
  readonly head: Cursor
  readonly stats: LogStats
  /** The number of the tail's newest entry. */
  readonly pos: number
  /** The rest of the answer. */
  readonly rest: readonly (string | number)[]
}

const FIELDS = 7

export function readState(reply: unknown): LogState {
  const values = reply as (string | number)[]
  const [life, head, witness, events, bytes, channels, pos] = values as [
    string,
    number,
    string,
    number,
    number,
    number,
    number
  ]
  return {
    life,
    head: { seq: head, witness },
    pos,
    stats: { kind: 'redis', events, bytes, channels, head },
    rest: values.slice(FIELDS)
  }
}
