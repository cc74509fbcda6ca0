import type { Cursor } from '../../events/cursor.ts'
import type { LogStats, RemovedCounts } from '../event-log.ts'

/** The beginning of every reply of a script: the position of the log, and its size. */
export interface LogState {
  readonly epoch: string
  readonly head: Cursor
  readonly stats: LogStats
  /** The number of events that this call has removed. */
  readonly removed: RemovedCounts
  /** The number of the tail's newest entry. */
  readonly pos: number
  /** The time by the store's clock, in milliseconds since the epoch. */
  readonly time: number
  /** The number of the newest recorded loss, 0 without one. */
  readonly loss: number
  /** When that loss was recorded, or else the epoch began: a later one has a higher value. */
  readonly born: number
  /** The rest of the reply. */
  readonly rest: readonly (string | number)[]
}

const FIELDS = 13
const TIME = 7

type Fields = [
  epoch: string,
  head: number,
  witness: string,
  events: number,
  bytes: number,
  channels: number,
  pos: number,
  time: number,
  loss: number,
  born: number,
  inboxes: number,
  evicted: number,
  expired: number
]

export function readState(reply: unknown): LogState {
  const values = reply as (string | number)[]
  const [epoch, head, witness, events, bytes, channels, pos, time, loss, born, inboxes, evicted, expired] =
    values as Fields
  return {
    epoch,
    head: { seq: head, witness },
    pos,
    time,
    loss,
    born,
    stats: { kind: 'redis', events, bytes, channels, head, hasInboxes: inboxes > 0 },
    removed: { evicted, expired },
    rest: values.slice(FIELDS)
  }
}

/** The time by the store's clock in the reply of a script. */
export function timeIn(reply: unknown): number {
  return (reply as Fields)[TIME]
}
