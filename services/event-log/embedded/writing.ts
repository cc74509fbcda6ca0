import type { Channel } from '../../channel.ts'
import { newWitness } from '../../cursor.ts'
import type { LogEvent, NewEvent, Receipt } from '../event-log.ts'
import { refuseOtherContent } from '../idempotency.ts'
import { type ChannelKind, countBound, giverOf, type Retention } from '../retention.ts'
import { ChannelPlaces, sizeClassOf } from './channel-places.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import { eventOf } from './recent-events.ts'
import { END, type PlaceRow, type State, type Tables, writeState } from './tables.ts'
import { weightOf } from './weight.ts'

/** What a channel weighs that holds anything, besides its places. */
const CHANNEL_OVERHEAD = 400
/** More channels than this that hold nothing, and those that were evicted longest ago are remembered by one number for all. */
const MAX_EMPTIED = 100_000
/** The part of the bound in bytes that they may take, and what one takes on disk besides its name. */
const EMPTIED_SHARE = 1 / 8
const EMPTIED_OVERHEAD = 150
/** How many of them one transaction forgets, besides two for each channel that it has changed. */
const FORGET_AT_ONCE = 128
/** In the table of sizes the classes of each kind lie together: there are fewer classes than this. */
const CLASSES = 64
const CLASSES_OF: Record<ChannelKind, number> = { user: 0, topic: CLASSES, everyone: 2 * CLASSES }
const BYTES_OF = { user: 'userBytes', topic: 'topicBytes', everyone: 'everyoneBytes' } as const

export interface WritingParts {
  readonly tables: Tables
  readonly life: string
  readonly retention: Retention
  readonly idempotencyWindow: number
  /** Now on the log's own clock, and for people. */
  readonly now: number
  readonly time: number
}

/**
 * What one transaction does to the store. Nothing of it counts until it is committed: whoever made it throws it away
 * otherwise, with the state that it was given a copy of.
 */
export class Writing {
  readonly state: State
  /** The events of this transaction in order, transient ones too. */
  readonly appended: LogEvent[] = []
  readonly #tables: Tables
  readonly #life: string
  readonly #retention: Retention
  readonly #keys: IdempotencyKeys
  readonly #now: number
  readonly #time: number
  readonly #channels = new Map<Channel, ChannelPlaces>()
  /** Where the turn among the heaviest channels was. */
  #turn: number

  constructor({ tables, life, retention, idempotencyWindow, now, time }: WritingParts, state: State, turn: number) {
    this.state = { ...state, time: now }
    this.#tables = tables
    this.#life = life
    this.#retention = retention
    this.#keys = new IdempotencyKeys(tables, this.state, now, idempotencyWindow)
    this.#now = now
    this.#time = time
    this.#turn = turn
  }

  get turn(): number {
    return this.#turn
  }

  /** Whether something is due to be dropped. */
  static isDue(state: State, retention: Retention, now: number): boolean {
    return state.oldestAt <= now - retention.age || state.nextUntil <= now
  }

  /** @throws {IdempotencyKeyReusedError} when nothing was done; what other batches did stays. */
  append(events: readonly NewEvent[]): Receipt[] {
    refuseOtherContent(events, (idempotency) => this.#keys.digestOf(idempotency))
    return events.map((event) => {
      const known = event.idempotency === undefined ? undefined : this.#keys.receiptOf(event.idempotency)
      if (known !== undefined) return known
      const appended = event.transient
        ? eventOf(null, [null, this.#time, this.#now, [...event.channels], event.event, event.data, event.final])
        : this.#store(event)
      this.appended.push(appended)
      const receipt = { id: appended.id, streams: event.streams, isRepeat: false }
      if (event.idempotency !== undefined) this.#keys.add(event.idempotency, receipt)
      return receipt
    })
  }

  /** Drops up to `limit` of what is too old, which is a gap, and of what outlived its `ttl`, which is none. */
  expire(limit: number): void {
    let left = limit
    while (this.state.nextUntil <= this.#now && left-- > 0) {
      const [first] = this.#tables.lapsing.getKeys({ limit: 1 })
      if (first !== undefined) this.#drop(first[1], false)
      this.#findNextUntil()
    }
    while (this.state.oldestAt <= this.#now - this.#retention.age && left-- > 0) this.#drop(this.state.oldest, true)
  }

  /** Brings the whole log under its bound, and forgets what no longer matters. Writes down what has changed. */
  finish(): State {
    this.#keys.expire()
    this.#shrink()
    for (const places of this.#channels.values()) this.#settle(places)
    this.#forgetChannels()
    this.#keys.settle()
    writeState(this.#tables, this.state)
    return this.state
  }

  #store(event: NewEvent): LogEvent {
    const { entries, shared, lapsing } = this.#tables
    const seq = ++this.state.head
    const witness = newWitness(this.#life)
    this.state.witness = witness
    const channels = [...event.channels]
    const row: [string, number, number, Channel[], string, string, boolean] = [
      ...([witness, this.#time, this.#now] as const),
      ...([channels, event.event, event.data, event.final] as const)
    ]
    entries.putSync(seq, row)
    const bytes = weightOf(event)
    this.state.events++
    this.state.bytes += bytes
    if (this.state.oldest > seq) {
      this.state.oldest = seq
      this.state.oldestAt = this.#now
    }
    if (channels.length > 1) shared.putSync(seq, channels.length)
    const until = event.ttl === undefined ? 0 : this.#now + event.ttl
    if (until > 0) {
      lapsing.putSync([until, seq], true)
      this.state.nextUntil = Math.min(this.state.nextUntil, until)
    }
    for (const channel of channels) {
      this.#file(channel, seq, bytes, [until, this.#now, channels.length > 1, event.collapseKey ?? null])
    }
    return eventOf({ seq, witness }, row)
  }

  #file(channel: Channel, seq: number, bytes: number, rest: [number, number, boolean, string | null]): void {
    const places = this.#open(channel)
    const collapseKey = rest[3]
    if (collapseKey !== null) {
      const before = this.#tables.collapsed.get([places.id, collapseKey])
      if (before !== undefined) this.#take(places, before)
      this.#tables.collapsed.putSync([places.id, collapseKey], seq)
    }
    places.push(seq, bytes, rest)
    const { channelBytes } = this.#retention
    const count = countBound(this.#retention, places.kind)
    while (places.count > count || (places.bytes > channelBytes && places.count > 1)) this.#evict(places)
  }

  #open(channel: Channel): ChannelPlaces {
    const open = this.#channels.get(channel)
    if (open !== undefined) return open
    const row = this.#tables.channels.get(channel)
    const { forgotten } = this.state
    const places = new ChannelPlaces(
      this.#tables,
      channel,
      row ?? [this.state.nextChannel++, 0, 0, 0, 0, forgotten, 0],
      row !== undefined
    )
    this.#channels.set(channel, places)
    return places
  }

  #evict(places: ChannelPlaces): void {
    const oldest = places.oldest()
    if (oldest === undefined) return
    places.evicted = Math.max(places.evicted, oldest.seq)
    this.#take(places, oldest.seq)
  }

  #drop(seq: number, isGap: boolean): void {
    const row = this.#tables.entries.get(seq)
    for (const channel of row?.[3] ?? []) {
      const places = this.#open(channel)
      if (this.#take(places, seq) && isGap) places.evicted = Math.max(places.evicted, seq)
    }
  }

  #take(places: ChannelPlaces, seq: number): boolean {
    const place = places.remove(seq)
    if (place === undefined) return false
    this.#release(seq, place)
    return true
  }

  /** One channel fewer holds the entry; the last one lets it go. */
  #release(seq: number, [, bytes, until, , isShared]: PlaceRow): void {
    const { entries, shared, lapsing } = this.#tables
    if (isShared) {
      const held = (shared.get(seq) ?? 1) - 1
      if (held > 0) {
        shared.putSync(seq, held)
        return
      }
      shared.removeSync(seq)
    }
    entries.removeSync(seq)
    this.state.events--
    this.state.bytes -= bytes
    if (until > 0) {
      lapsing.removeSync([until, seq])
      if (until === this.state.nextUntil) this.#findNextUntil()
    }
    if (seq === this.state.oldest) this.#findOldest()
  }

  #findNextUntil(): void {
    const [first] = this.#tables.lapsing.getKeys({ limit: 1 })
    this.state.nextUntil = first?.[0] ?? Number.POSITIVE_INFINITY
  }

  #findOldest(): void {
    this.state.oldest = Number.POSITIVE_INFINITY
    this.state.oldestAt = Number.POSITIVE_INFINITY
    for (const { key, value } of this.#tables.entries.getRange({ limit: 1 })) {
      this.state.oldest = key
      this.state.oldestAt = value[2]
    }
  }

  #shrink(): void {
    for (const places of this.#channels.values()) this.#settle(places)
    const { bytes } = this.#retention
    while (this.state.bytes + this.state.keyBytes + this.state.emptiedBytes > bytes) {
      const { keyBytes: keys, userBytes: user, topicBytes: topic, everyoneBytes: everyone } = this.state
      const giver = giverOf({ keys, user, topic, everyone }, bytes - this.state.emptiedBytes)
      if (giver === undefined) return
      if (giver === 'keys') {
        if (!this.#keys.forgetOne()) return
        continue
      }
      const places = this.#heaviest(giver)
      if (places === undefined) return
      this.#evict(places)
      this.#settle(places)
    }
  }

  /** A channel of the heaviest class of a kind, each of them in its turn. */
  #heaviest(kind: ChannelKind): ChannelPlaces | undefined {
    const { sizes } = this.#tables
    const most = CLASSES_OF[kind] + CLASSES
    const [heaviest] = sizes.getKeys({ reverse: true, start: [most, 0], end: [CLASSES_OF[kind], 0], limit: 1 })
    if (heaviest === undefined) return undefined
    const sizeClass = heaviest[0]
    for (const start of [this.#turn + 1, 0]) {
      const range = {
        start: [sizeClass, start] as [number, number],
        end: [sizeClass, END] as [number, number],
        limit: 1
      }
      for (const { key, value } of sizes.getRange(range)) {
        this.#turn = key[1]
        return this.#open(value as Channel)
      }
    }
    return undefined
  }

  /** Brings the tables up to date with what a channel has become. */
  #settle(places: ChannelPlaces): void {
    const { channels, sizes, emptied } = this.#tables
    const { storedAs, id, channel, kind, bytes } = places
    const sizeClass = sizeClassOf(bytes)
    if (sizeClass !== storedAs.sizeClass) {
      const classes = CLASSES_OF[kind]
      if (storedAs.sizeClass > 0) sizes.removeSync([classes + storedAs.sizeClass, id])
      if (sizeClass > 0) sizes.putSync([classes + sizeClass, id], channel)
    }
    const isHeld = places.count > 0
    const overhead = (Number(isHeld) - Number(storedAs.isHeld)) * CHANNEL_OVERHEAD
    this.state.channels += Number(isHeld) - Number(storedAs.isHeld)
    this.state.bytes += overhead
    this.state[BYTES_OF[kind]] += bytes - storedAs.bytes + overhead
    const emptiedAt = !isHeld && places.evicted > this.state.forgotten ? places.evicted : 0
    if (emptiedAt !== storedAs.emptied) {
      if (storedAs.emptied > 0) emptied.removeSync([storedAs.emptied, id])
      if (emptiedAt > 0) emptied.putSync([emptiedAt, id], channel)
      this.#countEmptied(channel, Number(emptiedAt > 0) - Number(storedAs.emptied > 0))
    }
    places.storedAs = { isHeld, sizeClass, bytes, emptied: emptiedAt }
    if (isHeld || emptiedAt > 0) channels.putSync(channel, places.row)
    else this.#forget(channel, places)
  }

  #forget(channel: Channel, places: ChannelPlaces): void {
    places.dropBlocks()
    this.#tables.channels.removeSync(channel)
    this.#channels.delete(channel)
  }

  #countEmptied(channel: Channel, count: number): void {
    this.state.emptied += count
    this.state.emptiedBytes += count * (EMPTIED_OVERHEAD + 2 * Buffer.byteLength(channel))
  }

  #forgetChannels(): void {
    const bytesMost = this.#retention.bytes * EMPTIED_SHARE
    for (let left = FORGET_AT_ONCE + 2 * this.#channels.size; left > 0; left--) {
      if (this.state.emptied <= MAX_EMPTIED && this.state.emptiedBytes <= bytesMost) return
      const [first] = [...this.#tables.emptied.getRange({ limit: 1 })]
      if (first === undefined) return
      const channel = first.value as Channel
      this.state.forgotten = Math.max(this.state.forgotten, first.key[0])
      this.#countEmptied(channel, -1)
      this.#tables.emptied.removeSync(first.key)
      this.#forget(channel, this.#open(channel))
    }
  }
}
