import type { Database, Key, RootDatabase } from 'lmdb'
import type { Channel } from '../../events/channel.ts'

// Everything is in rows that are arrays of plain values: MessagePack writes them short, and any version can read them.

/** Witness, time for people, time on the log's own clock, channels, name, data, final. */
export type EntryFields = [
  witness: string,
  time: number,
  appendedAt: number,
  channels: Channel[],
  event: string,
  data: string,
  final: boolean
]
export type EntryRow = [...fields: EntryFields, checksum: number]

/** An entry's place in one channel: all that evicting needs, so that it need not read the entry. */
export type PositionRow = [
  ordinal: number,
  bytes: number,
  /** When it lapses on the log's clock; 0 if it does not. */
  until: number,
  appendedAt: number,
  isShared: boolean,
  collapseKey: string | null
]

/** A channel that holds something, or that evicted something and is remembered for it. */
export type ChannelRow = [
  id: number,
  /** Ordinal of the oldest place that is held, and the one that comes next. */
  first: number,
  next: number,
  count: number,
  bytes: number,
  evicted: number,
  /** Number of the newest entry that was filed. */
  last: number
]

export type BlockRow = [firstSeq: number, holes: number]
/** An idempotency key: the receipt that it has, until when, of what content, and its place in the order of its scope. */
export type KeyRow = [id: string | null, streams: number, until: number, digest: string, ordinal: number]
/** A scope of idempotency keys: the ordinals of its oldest key and the next, its size class, and when its oldest key lapses. */
export type ScopeRow = [id: number, first: number, next: number, sizeClass: number, until: number]

/** What the log as a whole knows, written with every transaction. */
export interface State {
  head: number
  witness: string
  nextChannel: number
  nextScope: number
  events: number
  /** What entries and channels weigh. */
  bytes: number
  /** What the channels of each kind hold; an entry in several counts for each. */
  userBytes: number
  topicBytes: number
  everyoneBytes: number
  keyBytes: number
  channels: number
  /** Channels that hold nothing and are remembered for what they evicted. */
  emptied: number
  emptiedBytes: number
  /** Up to where channels may have been evicted that are remembered no more. */
  forgotten: number
  /** When it was last written, on the log's own clock, which never goes back. */
  time: number
  /** Number and time of the oldest entry; infinite if nothing is held. */
  oldest: number
  oldestAt: number
  /** When the next entry lapses; infinite if none does. */
  nextUntil: number
  /** The hub that wrote last, by a random name of its own: another one that writes to the same store is noticed by it. */
  owner: string
}

/** What is done with a table: all of it at once, within the transaction that is open. */
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
  /** The places of each channel, by its id and the entry's number. */
  readonly positions: Table<PositionRow, [number, number]>
  readonly channels: Table<ChannelRow, string>
  /** How many places of each block of a channel are empty, so that counting need not walk. */
  readonly blocks: Table<BlockRow, [number, number]>
  /** The number of the newest entry of a collapse key in a channel. */
  readonly collapsed: Table<number, [number, string]>
  /** In how many channels an entry of several is still held. */
  readonly shared: Table<number, number>
  readonly lapsing: Table<true, [number, number]>
  /** Idempotency keys by their scope's id, and the keys of each scope in the order in which they came and lapse. */
  readonly keys: Table<KeyRow, [number, string]>
  readonly keyOrder: Table<[key: string, until: number], [number, number]>
  readonly scopes: Table<ScopeRow, string>
  /** Scopes by the power of two of how many keys they have, and by when their oldest key lapses. */
  readonly scopeSizes: Table<string, [number, number]>
  readonly scopeLapses: Table<string, [number, number]>
  /** Channels by their kind and the power of two of what they hold. */
  readonly sizes: Table<string, [number, number]>
  /** Channels that hold nothing, by how far they were evicted. */
  readonly emptied: Table<string, [number, number]>
}

/** Above every id and number: where the range of a channel ends. */
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
    lapsing: table('lapsing'),
    keys: table('keys'),
    keyOrder: table('keyOrder'),
    scopes: table('scopes'),
    scopeSizes: table('scopeSizes'),
    scopeLapses: table('scopeLapses'),
    sizes: table('sizes'),
    emptied: table('emptied')
  }
}

const STATE = 'state'
/** Under which the table of metadata has the keys of witnesses. */
export const WITNESS_KEYS = 'witnessKeys'

/** What a new store knows, in the order in which it is stored. */
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
  owner: ''
}
const STATE_NAMES = Object.keys(NEW_STATE) as (keyof State)[]
const OWNER = STATE_NAMES.indexOf('owner')

/** JSON has no infinity, and MessagePack's is read differently by different readers: both are written as null. */
export function readState(tables: Tables): State | undefined {
  const row = tables.meta.get(STATE) as (number | string | null)[] | undefined
  if (!Array.isArray(row) || !Number.isSafeInteger(row[0]) || typeof row[1] !== 'string') return undefined
  const entries = STATE_NAMES.map((name, at) => [name, row[at] ?? Number.POSITIVE_INFINITY])
  return Object.fromEntries(entries) as State
}

/** Whether the state is stored as it is, as far as it tells hubs and their writes apart. */
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

/** Whether a hub may have written this as a place. */
export function isPosition(row: unknown): row is PositionRow {
  if (!Array.isArray(row) || row.length !== 6) return false
  const [ordinal, bytes, until, appendedAt] = row
  return [ordinal, bytes, until, appendedAt].every(Number.isFinite)
}

/** Whether a hub may have written this as the row of a channel. */
export function isChannelRow(row: unknown): row is ChannelRow {
  return Array.isArray(row) && row.length === 7 && row.every((value) => Number.isSafeInteger(value) && value >= 0)
}

/** The row of a channel; undefined if there is none; `damaged` if there is one that no hub wrote. */
export function channelRow(tables: Pick<Tables, 'channels'>, channel: Channel): ChannelRow | 'damaged' | undefined {
  let row: unknown
  try {
    row = tables.channels.get(channel)
  } catch {
    // The row is no MessagePack.
    return 'damaged'
  }
  if (row === undefined) return undefined
  return isChannelRow(row) ? row : 'damaged'
}
