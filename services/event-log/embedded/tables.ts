import type { Database, Key, RootDatabase } from 'lmdb'
import type { Channel } from '../../events/channel.ts'
import type { Final } from '../../events/log-event.ts'

// All rows are arrays of plain values: MessagePack encodes them compactly, and any version can read them.

/** `time` is wall-clock time, `appendedAt` log time. */
export type EntryFields = [
  witness: string,
  time: number,
  appendedAt: number,
  channels: Channel[],
  event: string,
  data: string,
  final: Final
]
/**
 * The last field is missing for an event without a trace, and the one before as well for one that excepts no user, as in rows of
 * earlier versions.
 */
export type EntryRow = [...fields: EntryFields, checksum: number, except?: readonly string[], trace?: string]

/** An entry's position in one channel: all that eviction needs, so that it need not read the entry. */
export type PositionRow = [
  ordinal: number,
  bytes: number,
  /** Log time at which the entry expires; 0 if it does not. */
  until: number,
  appendedAt: number,
  isShared: boolean,
  collapseKey: string | null
]

/** A channel with entries, or an emptied channel that is remembered for what it evicted. */
export type ChannelRow = [
  id: number,
  /** Ordinal of the oldest retained position, and of the next new one. */
  first: number,
  next: number,
  count: number,
  bytes: number,
  evicted: number,
  /** Number of the newest entry that was filed. */
  last: number
]

export type BlockRow = [firstSeq: number, holes: number]
/** An idempotency key: its receipt, when it expires, the digest of its content, and its ordinal in its scope. */
export type KeyRow = [id: string | null, streams: number, until: number, digest: string, ordinal: number]
/** A scope of idempotency keys: the ordinals of its oldest key and the next, its size class, and when its oldest expires. */
export type ScopeRow = [id: number, first: number, next: number, sizeClass: number, until: number]

/** The state of the log as a whole, written with every transaction. */
export interface State {
  head: number
  witness: string
  nextChannel: number
  nextScope: number
  events: number
  /** Weight of entries and channels. */
  bytes: number
  /** Weight of the channels of each kind; an entry in several counts for each. */
  userBytes: number
  topicBytes: number
  everyoneBytes: number
  keyBytes: number
  channels: number
  /** Channels without entries that are remembered for what they evicted. */
  emptied: number
  emptiedBytes: number
  /** The highest number evicted from emptied channels that are no longer remembered. */
  forgotten: number
  /** Log time of the last write. Log time never goes back. */
  time: number
  /** Number and log time of the oldest entry that its age has not evicted yet; infinite without one. */
  oldest: number
  oldestAt: number
  /** Log time at which the next entry expires; infinite if none does. */
  nextUntil: number
  /** The random name of the hub that wrote last. It reveals another hub that writes to the same store. */
  owner: string
  /** Weight of the channels of inboxes, as above. */
  inboxBytes: number
}

/** The operations on a table, all of them synchronous, within the open transaction. */
export interface Table<Row, K extends Key> {
  get(key: K): Row | undefined
  getKeys: Database<Row, K>['getKeys']
  getRange: Database<Row, K>['getRange']
  getKeysCount: Database<Row, K>['getKeysCount']
  putSync(key: K, row: Row): void
  /** Whether there was such a row. */
  removeSync(key: K): boolean
}

/** The tables of the store, all of one LMDB environment: a transaction covers them all. */
export interface Tables {
  readonly meta: Table<unknown, string>
  readonly entries: Table<EntryRow, number>
  /** The positions of each channel, by its id and the entry's number. */
  readonly positions: Table<PositionRow, [number, number]>
  readonly channels: Table<ChannelRow, string>
  /** How many positions of each block of a channel are empty, so that counting need not walk. */
  readonly blocks: Table<BlockRow, [number, number]>
  /** The number of the newest entry of a collapse key in a channel. */
  readonly collapsed: Table<number, [number, string]>
  /** The number of channels that still retain an entry of several channels. */
  readonly shared: Table<number, number>
  /** Entries by when they expire. */
  readonly expiring: Table<true, [number, number]>
  /** Idempotency keys by their scope's id, and the keys of each scope in the order in which they were added and expire. */
  readonly keys: Table<KeyRow, [number, string]>
  readonly keyOrder: Table<[key: string, until: number], [number, number]>
  readonly scopes: Table<ScopeRow, string>
  /** Scopes by the power of two of their number of keys, and by when their oldest key expires. */
  readonly scopeSizes: Table<string, [number, number]>
  readonly scopeExpiries: Table<string, [number, number]>
  /** Channels by their kind and the power of two of their weight. */
  readonly sizes: Table<string, [number, number]>
  /** Channels without entries, by the highest number evicted from them. */
  readonly emptied: Table<string, [number, number]>
}

/** Above every id and number: the end of the range of a channel. */
export const END = Number.MAX_SAFE_INTEGER

export function openTables(root: RootDatabase): Tables {
  const table = <Row, K extends Key>(name: string) => root.openDB<Row, K>(name, {})
  return {
    meta: table('meta'),
    entries: table('entries'),
    positions: table('places'),
    channels: table('channels'),
    blocks: table('blocks'),
    collapsed: table('collapsed'),
    shared: table('shared'),
    expiring: table('lapsing'),
    keys: table('keys'),
    keyOrder: table('keyOrder'),
    scopes: table('scopes'),
    scopeSizes: table('scopeSizes'),
    scopeExpiries: table('scopeLapses'),
    sizes: table('sizes'),
    emptied: table('emptied')
  }
}

const STATE = 'state'
/** The row of the keys of witnesses in the table of metadata. */
export const WITNESS_KEYS = 'witnessKeys'

/** The state of a new store, in the order in which it is stored. */
const NEW_STATE: State = {
  head: 0,
  witness: '',
  nextChannel: 1,
  nextScope: 1,
  events: 0,
  bytes: 0,
  userBytes: 0,
  topicBytes: 0,
  everyoneBytes: 0,
  keyBytes: 0,
  channels: 0,
  emptied: 0,
  emptiedBytes: 0,
  forgotten: 0,
  time: 0,
  oldest: Number.POSITIVE_INFINITY,
  oldestAt: Number.POSITIVE_INFINITY,
  nextUntil: Number.POSITIVE_INFINITY,
  owner: '',
  inboxBytes: 0
}
const STATE_NAMES = Object.keys(NEW_STATE) as (keyof State)[]
const OWNER = STATE_NAMES.indexOf('owner')

/**
 * Infinity is stored as null, because readers of MessagePack decode infinity differently. A store of an earlier version lacks
 * the last values.
 */
export function readState(tables: Tables): State | undefined {
  const row = tables.meta.get(STATE) as (number | string | null)[] | undefined
  if (!Array.isArray(row) || !Number.isSafeInteger(row[0]) || typeof row[1] !== 'string') return undefined
  const entries = STATE_NAMES.map((name, at) => [
    name,
    at < row.length ? (row[at] ?? Number.POSITIVE_INFINITY) : NEW_STATE[name]
  ])
  return Object.fromEntries(entries) as State
}

/** Whether the stored state has the same head and owner, which tell hubs and their writes apart. */
export function isStored(tables: Tables, { head, witness, owner }: State): boolean {
  const row = tables.meta.get(STATE)
  return Array.isArray(row) && row[0] === head && row[1] === witness && row[OWNER] === owner
}

export function writeState(tables: Tables, state: State): void {
  const row = STATE_NAMES.map((name) => (state[name] === Number.POSITIVE_INFINITY ? null : state[name]))
  tables.meta.putSync(STATE, row)
}

export function newState(witness: string, time: number): State {
  return { ...NEW_STATE, witness, time }
}

/** Whether a hub may have written this as a position. */
export function isPosition(row: unknown): row is PositionRow {
  if (!Array.isArray(row) || row.length !== 6) return false
  const [ordinal, bytes, until, appendedAt] = row
  return [ordinal, bytes, until, appendedAt].every(Number.isFinite)
}

/** Whether a hub may have written this as the row of a channel. */
export function isChannelRow(row: unknown): row is ChannelRow {
  return Array.isArray(row) && row.length === 7 && row.every((value) => Number.isSafeInteger(value) && value >= 0)
}

/** The row of a channel; undefined if it has none; `damaged` if no hub can have written it. */
export function channelRow(tables: Pick<Tables, 'channels'>, channel: Channel): ChannelRow | 'damaged' | undefined {
  let row: unknown
  try {
    row = tables.channels.get(channel)
  } catch {
    // The row is not MessagePack.
    return 'damaged'
  }
  if (row === undefined) return undefined
  return isChannelRow(row) ? row : 'damaged'
}
