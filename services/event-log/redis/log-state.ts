import type { Cursor } from '../../events/cursor.ts'
import type { LogStats, RemovedCounts } from '../event-log.ts'

/** The beginning of every reply of a script: the position of the log, and its size. */
export interface LogState {
  readonly epoch: string
  readonly head: Cursor
  readonly stats: LogStats
  /** The number of events that this call has removed. */
  readonly removed: RemovedCounts
  /** The caller's tail. */
  readonly tail: TailState
  /** The time by the store's clock, in milliseconds since the epoch. */
  readonly time: number
  /** The number of the newest recorded loss, 0 without one. */
  readonly loss: number
  /** When that loss was recorded, or else the epoch began: a later one has a higher value. */
  readonly born: number
  /** The rest of the reply. */
  readonly rest: readonly (string | number)[]
}

/** The end of a node's tail. */
export interface TailState {
  /** The id that the caller gave; empty without one. */
  readonly id: string
  /** The number and the name of the newest entry; 0 and empty if there is no such tail. */
  readonly pos: number
  readonly nonce: string
  /** The name of the newest change of the node's interests. */
  readonly registered: string
}

const FIELDS = 15

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
  expired: number,
  nonce: string,
  registered: string
]

export function readState(reply: unknown, tail = ''): LogState {
  const values = reply as (string | number)[]
  const [
    epoch,
    head,
    witness,
    events,
    bytes,
    channels,
    pos,
    time,
    loss,
    born,
    inboxes,
    evicted,
    expired,
    nonce,
    registered
  ] = values as Fields
  return {
    epoch,
    head: { seq: head, witness },
    tail: { id: tail, pos, nonce, registered },
    time,
    loss,
    born,
    stats: { kind: 'redis', events, bytes, channels, head, hasInboxes: inboxes > 0 },
    removed: { evicted, expired },
    rest: values.slice(FIELDS)
  }
}
