import { type Channel, isInboxChannel } from '../../events/channel.ts'
import type { Cursor } from '../../events/cursor.ts'
import type { LogEvent, NewEvent } from '../../events/log-event.ts'
import type { Receipt } from '../event-log.ts'
import { rejectOtherContent } from '../idempotency.ts'
import { countBound, evictionSourceOf, isAgedFirst, lifetimeOf, type Retention } from '../retention.ts'
import { retractedFrom } from '../retraction.ts'
import type { Witnesses, WitnessKeys } from '../witnesses.ts'
import type { ChannelPositions } from './channel-positions.ts'
import { entryAt, eventOf } from './entries.ts'
import { OpenChannels } from './open-channels.ts'
import { RetainedEntries } from './retained-entries.ts'
import { IdempotencyKeys } from './stored-idempotency-keys.ts'
import { type EntryFields, type PositionRow, type State, type Tables, WITNESS_KEYS, writeState } from './tables.ts'
import { weightOf } from './weight.ts'

export interface WritingParts {
  readonly tables: Tables
  readonly epoch: string
  readonly retention: Retention
  readonly idempotencyWindow: number
  /** Log time, and wall-clock time. */
  readonly now: number
  readonly time: number
  /** Generates the witnesses of new entries; the keys of all witnesses so far. */
  readonly witnesses: Witnesses
  readonly witnessKeys: WitnessKeys
  /** The random name of the hub that writes. */
  readonly owner: string
  /** Id of the channel among the heaviest whose turn was last. */
  readonly turn: number
  /** Channels that earlier transactions left above their bounds. */
  readonly overfull: Iterable<Channel>
  /** Max. number of entries that are dropped for their age and for bounds that were larger when they were stored. */
  readonly slice: number
}

/**
 * The changes of one transaction to the store. They are valid only after the commit: without it the caller discards this
 * object together with its copy of the state.
 */
export class Writing {
  readonly state: State
  /** The events of this transaction in order, transient ones too. */
  readonly appended: LogEvent[] = []
  /** The numbers of the events that this transaction retracts. */
  readonly retracted: number[] = []
  /** How many positions this transaction removes. */
  readonly removed = { evicted: 0, expired: 0 }
  readonly #tables: Tables
  readonly #retained: RetainedEntries
  readonly #epoch: string
  readonly #witnesses: Witnesses
  readonly #retention: Retention
  readonly #keys: IdempotencyKeys
  readonly #now: number
  readonly #time: number
  readonly #channels: OpenChannels
  /** Channels that are left above their bounds, for the next transactions. */
  readonly overfull: Set<Channel>
  /** The state before this transaction. */
  readonly #before: Readonly<State>
  #slice: number
  #turn: number
  #isUnfinished = false

  constructor(parts: WritingParts, state: State) {
    this.state = { ...state, time: parts.now, owner: parts.owner }
    this.#before = state
    this.#tables = parts.tables
    this.#retained = new RetainedEntries(parts.tables, this.state)
    this.#channels = new OpenChannels(parts.tables, this.state, state.head)
    this.#epoch = parts.epoch
    this.#witnesses = parts.witnesses
    if (state.owner !== parts.owner) parts.tables.meta.putSync(WITNESS_KEYS, parts.witnessKeys)
    this.#retention = parts.retention
    this.#now = parts.now
    this.#keys = new IdempotencyKeys(parts.tables, this.state, parts.now, parts.idempotencyWindow)
    this.#time = parts.time
    this.#turn = parts.turn
    this.#slice = parts.slice
    this.overfull = new Set(parts.overfull)
  }

  get turn(): number {
    return this.#turn
  }

  /** Whether the next transaction has to go on dropping. */
  get isUnfinished(): boolean {
    return this.#isUnfinished || this.overfull.size > 0
  }

  /** Whether entries are due to be dropped. */
  static isDue(state: State, retention: Retention, now: number): boolean {
    return state.oldestAt <= now - retention.age || state.nextUntil <= now
  }

  /** @throws {IdempotencyKeyReusedError} before any change; the changes of other batches stay. */
  append(events: readonly NewEvent[]): Receipt[] {
    rejectOtherContent(events, (idempotency) => this.#keys.digestOf(idempotency))
    return events.map((each) => {
      const event = this.#applied(each)
      if (event === undefined) return { id: null, streams: 0, isRepeat: false }
      const known = event.idempotency === undefined ? undefined : this.#keys.receiptOf(event.idempotency)
      if (known !== undefined) return known
      const appended = event.transient
        ? eventOf(null, [null, this.#time, this.#now, [...event.channels], event.event, event.data, event.final], event)
        : this.#store(event)
      this.appended.push(appended)
      const receipt = { id: appended.id, streams: event.streams, isRepeat: false }
      if (event.idempotency !== undefined) this.#keys.add(event.idempotency, receipt)
      return receipt
    })
  }

  /** Drops a slice of the entries that are too old, which is a gap, and of those past their `ttl`, which is not. */
  expire(): void {
    let left = this.#slice
    while (this.state.nextUntil <= this.#now && left-- > 0) {
      const first = this.#retained.nextExpiring
      if (first === undefined) this.state.nextUntil = Number.POSITIVE_INFINITY
      else this.#expire(first)
    }
    while (this.state.oldestAt <= this.#now - this.#retention.age && left-- > 0) this.#age(this.state.oldest)
  }

  /** Brings the log towards its bounds, forgets expired keys and marks, and writes the changed rows. */
  finish(): State {
    this.#keys.expire()
    for (const channel of [...this.overfull]) this.#trim(this.#channels.open(channel))
    this.#shrink()
    this.#channels.settleAll()
    this.#channels.forgetEmptied(this.#retention.bytes)
    this.#keys.settle()
    writeState(this.#tables, this.state)
    return this.state
  }

  /** The event as it is appended, after the removal of the one that it retracts; undefined if it is not appended. */
  #applied(event: NewEvent): NewEvent | undefined {
    const { retracts, replaces, collapseKey = '' } = event
    if (retracts !== undefined) return this.#retract(event, retracts)
    if (replaces === undefined) return event
    const isNewest = (channel: Channel) => {
      if (!isInboxChannel(channel)) return true
      const positions = this.#channels.open(channel)
      const seq = this.#tables.collapsed.get([positions.id, collapseKey]) ?? 0
      return (positions.collapseKeyOf(seq) === collapseKey ? seq : 0) === replaces
    }
    return event.channels.every(isNewest) ? event : undefined
  }

  #retract(event: NewEvent, { seq, witness }: Cursor): NewEvent | undefined {
    const row = entryAt(this.#tables, seq)
    if (row === undefined || row[0] !== witness) return undefined
    const given = event.channels.length === 0 ? row[3] : event.channels
    const isRetained = (channel: Channel) => row[3].includes(channel) && this.#channels.open(channel).has(seq)
    const channels = retractedFrom(row[4], event.channels, given, isRetained)
    if (channels === undefined) return undefined
    for (const channel of given.filter(isRetained)) this.#take(this.#channels.open(channel), seq)
    this.retracted.push(seq)
    return { ...event, channels }
  }

  #store(event: NewEvent): LogEvent {
    const seq = ++this.state.head
    const witness = this.#epoch + this.#witnesses.of(seq)
    this.state.witness = witness
    const channels = [...event.channels]
    const fields: EntryFields = [witness, this.#time, this.#now, channels, event.event, event.data, event.final]
    const bytes = weightOf(event)
    const lifetime = lifetimeOf(event, this.#retention)
    const until = lifetime === undefined ? 0 : this.#now + lifetime
    this.#retained.add(seq, fields, event, bytes, until)
    for (const channel of channels) {
      this.#file(channel, seq, bytes, [until, this.#now, channels.length > 1, event.collapseKey ?? null])
    }
    return eventOf({ seq, witness }, fields, event)
  }

  #file(channel: Channel, seq: number, bytes: number, rest: [number, number, boolean, string | null]): void {
    const positions = this.#channels.open(channel)
    const collapseKey = rest[3]
    if (collapseKey !== null) {
      const before = this.#tables.collapsed.get([positions.id, collapseKey])
      if (before !== undefined && positions.collapseKeyOf(before) === collapseKey) this.#take(positions, before)
      this.#tables.collapsed.putSync([positions.id, collapseKey], seq)
    }
    positions.push(seq, bytes, rest)
    this.#trim(positions)
  }

  /**
   * Brings a channel under its bounds. Entries of this transaction evict older ones at once; entries that were stored under
   * larger bounds are evicted slice by slice.
   */
  #trim(positions: ChannelPositions): void {
    const { channel, kind, stored } = positions
    const { channelBytes } = this.#retention
    const count = countBound(this.#retention, kind)
    this.overfull.delete(channel)
    while (positions.count > count || (positions.bytes > channelBytes && positions.count > 1)) {
      const hasGrown =
        positions.count > Math.max(stored.count, count) || positions.bytes > Math.max(stored.bytes, channelBytes)
      if (!hasGrown && this.#slice-- <= 0) {
        this.overfull.add(channel)
        return
      }
      if (!this.#evict(positions)) this.#channels.correct(positions)
    }
  }

  /** Returns whether the channel had an entry to evict. */
  #evict(positions: ChannelPositions): boolean {
    const oldest = positions.oldest()
    if (oldest === undefined) return false
    positions.evicted = Math.max(positions.evicted, oldest.seq)
    this.removed.evicted++
    this.#take(positions, oldest.seq, oldest.position)
    return true
  }

  #expire([until, seq]: [number, number]): void {
    const [, , appendedAt = 0, channels = []] = entryAt(this.#tables, seq) ?? []
    const isAged = channels.some(isInboxChannel) && isAgedFirst(Math.round(until - appendedAt), this.#retention)
    for (const channel of channels) {
      const positions = this.#channels.open(channel)
      // An entry that expires at another time, or never, is not the one that the index means.
      if (positions.expiresAt(seq) !== until || !this.#take(positions, seq)) continue
      const isGap = isAged && positions.kind !== 'inbox'
      this.removed[isGap ? 'evicted' : 'expired']++
      if (isGap) positions.evicted = Math.max(positions.evicted, seq)
    }
    this.#retained.expired(until, seq)
  }

  /** The entry is too old for all its channels but inboxes. */
  #age(seq: number): void {
    let isInInbox = false
    for (const channel of entryAt(this.#tables, seq)?.[3] ?? []) {
      const positions = this.#channels.open(channel)
      if (positions.kind === 'inbox') isInInbox ||= positions.has(seq)
      else if (this.#take(positions, seq)) {
        positions.evicted = Math.max(positions.evicted, seq)
        this.removed.evicted++
      }
    }
    if (this.state.oldest !== seq) return
    if (isInInbox) this.#retained.aged()
    // The entry is damaged, or no position refers to it.
    else this.#retained.discard(seq)
  }

  #take(positions: ChannelPositions, seq: number, known?: PositionRow): boolean {
    const position = positions.remove(seq, known)
    if (position === undefined) return false
    this.#retained.release(seq, position)
    return true
  }

  #shrink(): void {
    this.#channels.settleAll()
    const { bytes } = this.#retention
    const before = stored(this.#before)
    while (stored(this.state) > bytes) {
      if (stored(this.state) <= before && this.#slice-- <= 0) {
        this.#isUnfinished = true
        return
      }
      const {
        keyBytes: keys,
        userBytes: user,
        topicBytes: topic,
        everyoneBytes: everyone,
        inboxBytes: inbox
      } = this.state
      const source = evictionSourceOf({ keys, user, topic, everyone, inbox }, bytes - this.state.emptiedBytes)
      if (source === undefined) return
      if (source === 'keys') {
        if (!this.#keys.forgetOne()) return
        continue
      }
      const positions = this.#channels.openHeaviest(source, this.#turn)
      if (positions === undefined) continue
      this.#turn = positions.id
      if (!this.#evict(positions)) this.#channels.correct(positions)
      this.#channels.settle(positions)
    }
  }
}

/** The bytes that count against the bound. */
function stored({ bytes, keyBytes, emptiedBytes }: State): number {
  return bytes + keyBytes + emptiedBytes
}
