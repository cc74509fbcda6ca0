import type { Bounds } from '../../event-log-contract/contract.ts'
import type { Clock } from '../../services/clock.ts'
import { HubClosedError, IdempotencyKeyReusedError, LogUnavailableError } from '../../services/errors.ts'
import {
  type EventLog,
  type HealthCheck,
  type LogStats,
  MAX_PAGE_TEXT,
  type ReadFrom,
  type ReadQuery,
  type ReadResult,
  type Receipt,
  type Tail,
  type TailListener
} from '../../services/event-log/event-log.ts'
import { evictionSourceOf, kindOf } from '../../services/event-log/retention.ts'
import { type Channel, isInboxChannel } from '../../services/events/channel.ts'
import { type Cursor, formatCursor, newEpoch, newWitness, sameEpoch } from '../../services/events/cursor.ts'
import type { GapReason } from '../../services/events/gap-reason.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'

/** The state of an event in one of its channels. */
type Fate = 'retained' | 'evicted' | 'collapsed' | 'expired' | 'retracted'

interface Entry {
  readonly seq: number
  readonly draft: NewEvent
  readonly event: LogEvent
  readonly appendedAt: number
  readonly fates: Map<Channel, Fate>
}

interface Known {
  readonly digest: string
  readonly receipt: Receipt
  readonly at: number
}

/** The whole state of a store: a copy of it can be restored. */
interface State {
  head: Cursor
  entries: Entry[]
  known: Map<string, Known>
  /** The number that the newest loss has taken; 0 if there was no loss. */
  loss: number
  /** Events for the tails, transient events too. The list begins with `undefined`. */
  bus: (LogEvent | undefined)[]
}

/** The name under which the store keeps the idempotency key of an event. */
export function nameOf({ idempotency }: NewEvent): string {
  return JSON.stringify([idempotency?.scope, idempotency?.key])
}

/** How many events the store keeps for tails. */
const MAX_BUS = 1_000

/** The contract in its simplest form: nothing is ever deleted, and every answer is computed from all entries. */
export class NaiveStore {
  readonly bounds: Bounds
  readonly clock: Clock
  readonly nodes = new Set<NaiveLog>()
  readonly epoch = newEpoch()
  /** The weight of an event. */
  weigh: (draft: NewEvent) => number = ({ data }) => Buffer.byteLength(data)
  state: State = {
    head: { seq: 0, witness: newWitness(this.epoch) },
    entries: [],
    known: new Map(),
    loss: 0,
    bus: [undefined]
  }

  constructor(bounds: Bounds, clock: Clock) {
    this.bounds = bounds
    this.clock = clock
  }

  append(drafts: readonly NewEvent[]): Receipt[] {
    this.expire()
    this.refuse(drafts)
    const receipts = drafts.map((draft) => {
      const applied = this.apply(draft)
      return applied === undefined
        ? { id: null, streams: 0, isRepeat: false }
        : (this.known(applied) ?? this.accept(applied))
    })
    this.shrink()
    this.wake()
    return receipts
  }

  /** The event as it is appended, after the removal of the one that it retracts; undefined if it is not appended. */
  apply(draft: NewEvent): NewEvent | undefined {
    const { retracts, replaces, channels } = draft
    if (retracts !== undefined) return this.retract(draft, retracts)
    if (replaces === undefined) return draft
    const newest = (channel: Channel) =>
      this.retained(channel).find(({ draft: { collapseKey } }) => collapseKey === draft.collapseKey)?.seq ?? 0
    return channels.filter(isInboxChannel).every((channel) => newest(channel) === replaces) ? draft : undefined
  }

  retract(draft: NewEvent, { seq, witness }: Cursor): NewEvent | undefined {
    const entry = this.state.entries.find((entry) => entry.seq === seq && entry.event.cursor?.witness === witness)
    if (entry === undefined || entry.event.event.startsWith('hub.')) return undefined
    const from = draft.channels.length === 0 ? entry.draft.channels : draft.channels
    const isRetained = (channel: Channel) => entry.fates.get(channel) === 'retained'
    const channels = from.filter((channel) => !isInboxChannel(channel))
    const isMissing = draft.channels.filter(isInboxChannel).some((channel) => !isRetained(channel))
    if (isMissing || !from.some(isRetained) || channels.length === 0) return undefined
    for (const channel of from.filter(isRetained)) entry.fates.set(channel, 'retracted')
    return { ...draft, channels }
  }

  wake(): void {
    for (const node of this.nodes) node.wake()
  }

  refuse(drafts: readonly NewEvent[]): void {
    const digests = new Map<string, string>()
    for (const draft of drafts) {
      if (draft.idempotency === undefined) continue
      const name = nameOf(draft)
      const before = digests.get(name) ?? this.live(draft)?.digest ?? draft.idempotency.digest
      if (before !== draft.idempotency.digest) throw new IdempotencyKeyReusedError()
      digests.set(name, before)
    }
  }

  live(draft: NewEvent): Known | undefined {
    const known = this.state.known.get(nameOf(draft))
    const isLive = known !== undefined && this.clock.monotonic() < known.at + this.bounds.idempotencyWindow
    return draft.idempotency !== undefined && isLive ? known : undefined
  }

  known(draft: NewEvent): Receipt | undefined {
    const known = this.live(draft)
    return known && { ...known.receipt, isRepeat: true }
  }

  accept(draft: NewEvent): Receipt {
    const event = this.make(draft)
    this.state.bus.push(event)
    if (event.cursor !== null) this.file(draft, event, event.cursor)
    const receipt = { id: event.id, streams: draft.streams, isRepeat: false }
    if (draft.idempotency !== undefined) {
      const { digest } = draft.idempotency
      this.state.known.set(nameOf(draft), { digest, receipt, at: this.clock.monotonic() })
    }
    return receipt
  }

  make({ channels, event, data, final, except, trace, transient }: NewEvent): LogEvent {
    const cursor = transient ? null : { seq: this.state.head.seq + 1, witness: newWitness(this.epoch) }
    const id = cursor === null ? null : formatCursor(cursor)
    return { cursor, id, channels, event, data, time: this.clock.now(), final, except, trace, frame: undefined }
  }

  file(draft: NewEvent, event: LogEvent, cursor: Cursor): void {
    const entry: Entry = { seq: cursor.seq, draft, event, appendedAt: this.clock.monotonic(), fates: new Map() }
    this.state.head = cursor
    this.state.entries.push(entry)
    for (const channel of draft.channels) {
      this.collapse(channel, draft)
      entry.fates.set(channel, 'retained')
      this.bound(channel)
    }
  }

  collapse(channel: Channel, { collapseKey }: NewEvent): void {
    if (collapseKey === undefined) return
    for (const retained of this.retained(channel)) {
      if (retained.draft.collapseKey === collapseKey) retained.fates.set(channel, 'collapsed')
    }
  }

  bound(channel: Channel): void {
    const { user, topic, everyone: broadcast, inbox, channelBytes } = this.bounds.retention
    const others = isInboxChannel(channel) ? inbox : topic
    const count = channel === 'everyone' ? broadcast : channel.startsWith('u:') ? user : others
    while (this.retained(channel).length > count) this.evictOldest(channel)
    while (this.retained(channel).length > 1 && this.weight(channel) > channelBytes) this.evictOldest(channel)
  }

  evictOldest(channel: Channel): void {
    this.retained(channel)[0]?.fates.set(channel, 'evicted')
  }

  /** Evicts from the heaviest channel until the total bound holds. */
  shrink(): void {
    while (this.stats().bytes > this.bounds.retention.bytes) {
      const channels = [...new Set(this.allRetained().flatMap(({ draft }) => draft.channels))]
      const weights = { keys: 0, topic: 0, everyone: 0, user: 0, inbox: 0 }
      for (const channel of channels) weights[kindOf(channel)] += this.weight(channel)
      const source = evictionSourceOf(weights, this.bounds.retention.bytes)
      const [heaviest] = channels
        .filter((channel) => kindOf(channel) === source)
        .sort((a, b) => this.weight(b) - this.weight(a))
      if (heaviest === undefined) return
      this.evictOldest(heaviest)
    }
  }

  expire(): void {
    const now = this.clock.monotonic()
    const { age, inboxAge } = this.bounds.retention
    for (const { draft, appendedAt, fates } of this.state.entries) {
      const hasInbox = draft.channels.some(isInboxChannel)
      const inInbox = hasInbox ? Math.max(inboxAge, age + 1) : Number.POSITIVE_INFINITY
      const lifetime = Math.min(draft.ttl ?? Number.POSITIVE_INFINITY, inInbox)
      const isExpired = now >= appendedAt + lifetime
      const isAged = now >= appendedAt + age
      if (!isExpired && !isAged) continue
      for (const [channel, before] of fates) {
        if (before !== 'retained') continue
        if (isInboxChannel(channel)) fates.set(channel, isExpired ? 'expired' : 'retained')
        else fates.set(channel, isExpired && !(hasInbox && isAged && lifetime > age) ? 'expired' : 'evicted')
      }
    }
  }

  retained(channel: Channel): Entry[] {
    return this.state.entries.filter(({ fates }) => fates.get(channel) === 'retained')
  }

  allRetained(): Entry[] {
    return this.state.entries.filter(({ fates }) => [...fates.values()].includes('retained'))
  }

  weight(channel: Channel): number {
    return this.retained(channel).reduce((sum, { draft }) => sum + this.weigh(draft), 0)
  }

  read({ channels, from, limit }: ReadQuery): ReadResult {
    this.expire()
    const { after, gap } = this.recognise(from)
    const mine = this.select(channels).filter(({ seq }) => seq > after)
    const wanted = typeof from === 'object' && 'last' in from ? mine.slice(-from.last) : mine
    const given = this.page(wanted.slice(0, limit))
    const remaining = wanted.length - given.length
    const evicted = this.evicted(channels)
    const next = remaining === 0 ? this.state.head : (given.at(-1)?.event.cursor ?? this.state.head)
    const isBehind = typeof from === 'object' && 'seq' in from && evicted > after
    return {
      events: given.map(({ event }) => event),
      remaining,
      next,
      evicted,
      gap: gap ?? (isBehind ? 'evicted' : undefined)
    }
  }

  page(entries: readonly Entry[]): Entry[] {
    let text = 0
    return entries.filter(({ event }) => {
      const fits = text < MAX_PAGE_TEXT
      text += event.data.length
      return fits
    })
  }

  select(channels: readonly Channel[]): Entry[] {
    return this.state.entries.filter(({ fates }) => channels.some((channel) => fates.get(channel) === 'retained'))
  }

  evicted(channels: readonly Channel[]): number {
    const isEvicted = ({ fates }: Entry) => channels.some((channel) => fates.get(channel) === 'evicted')
    return Math.max(this.state.loss, this.state.entries.findLast(isEvicted)?.seq ?? 0)
  }

  /** Records a loss of entries, so that cursors from before it report a gap. */
  lose(): void {
    const draft = { channels: [], event: '', data: '', transient: false, final: false, streams: 0 }
    const event = this.make(draft)
    const cursor = event.cursor as Cursor
    this.state.head = cursor
    this.state.loss = cursor.seq
    this.state.entries.push({ seq: cursor.seq, draft, event, appendedAt: this.clock.monotonic(), fates: new Map() })
  }

  recognise(from: ReadFrom): { after: number; gap?: GapReason } {
    const { head, entries } = this.state
    if (from === 'head') return { after: head.seq }
    if (from === 'oldest' || 'last' in from) return { after: 0 }
    if (!sameEpoch(from.witness, this.epoch)) return { after: 0, gap: 'reset' }
    const known = from.seq === 0 ? (head.seq === 0 ? head : undefined) : entries[from.seq - 1]?.event.cursor
    const isOther = known != null && known.witness !== from.witness
    return isOther || from.seq > head.seq ? { after: 0, gap: 'diverged' } : { after: from.seq }
  }

  stats(): LogStats {
    const retained = this.allRetained()
    return {
      kind: 'naive',
      events: retained.length,
      bytes: retained.reduce((sum, { draft }) => sum + this.weigh(draft), 0),
      channels: new Set(
        retained.flatMap(({ fates }) => [...fates].flatMap(([of, fate]) => (fate === 'retained' ? of : [])))
      ).size,
      head: this.state.head.seq,
      hasInboxes: retained.some(({ fates }) =>
        [...fates].some(([of, fate]) => isInboxChannel(of) && fate === 'retained')
      )
    }
  }

  /** Returns a function that restores the present state. */
  snapshot(): () => void {
    const { head, entries, known, loss, bus } = this.state
    const fates = entries.map((entry) => new Map(entry.fates))
    const then = { head, known: new Map(known), loss, bus: [...bus] }
    return () => {
      this.state = {
        ...then,
        entries: entries.slice(0, fates.length).map((entry, at) => ({ ...entry, fates: fates[at] ?? entry.fates }))
      }
      this.lose()
      this.wake()
    }
  }
}

/** One node over a naive store. It answers asynchronously, like a remote store. */
export class NaiveLog implements EventLog, HealthCheck {
  readonly store: NaiveStore
  readonly tails = new Set<NaiveTail>()
  isCut = false
  isClosed = false
  /** Calls run one after the other. */
  #queued: Promise<unknown> = Promise.resolve()

  constructor(store: NaiveStore) {
    this.store = store
    store.nodes.add(this)
  }

  append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    return this.queue(() => this.store.append(events))
  }

  async read(query: ReadQuery): Promise<ReadResult> {
    return this.queue(() => this.store.read(query))
  }

  tail(listener: TailListener): Promise<Tail> {
    return this.queue(() => {
      const tail = this.begin(listener)
      this.tails.add(tail)
      return tail
    })
  }

  begin(listener: TailListener): NaiveTail {
    return new NaiveTail(this, listener)
  }

  wake(): void {
    for (const tail of this.tails) tail.wake()
  }

  cut(): () => void {
    this.isCut = true
    return () => {
      this.isCut = false
      this.wake()
    }
  }

  async ready(): Promise<boolean> {
    return !this.isClosed && !this.isCut
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.store.nodes.delete(this)
    this.tails.clear()
  }

  stats(): LogStats {
    return this.store.stats()
  }

  queue<Result>(call: () => Result): Promise<Result> {
    const done = this.#queued.then(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.isClosed) throw new HubClosedError()
      if (this.isCut) throw new LogUnavailableError('the connection is cut')
      return call()
    })
    this.#queued = done.catch(() => {})
    return done
  }
}

/** Reads the bus after the last dispatched event. */
export class NaiveTail implements Tail {
  readonly node: NaiveLog
  readonly listener: TailListener
  readonly position: Cursor
  last: LogEvent | undefined
  #isScheduled = false

  constructor(node: NaiveLog, listener: TailListener) {
    this.node = node
    this.listener = listener
    this.position = node.store.state.head
    this.last = node.store.state.bus.at(-1)
  }

  wake(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (!this.node.tails.has(this) || this.node.isCut) return
      if (this.step()) this.wake()
    })
  }

  /** Dispatches the next events; returns false if there were no events. */
  step(): boolean {
    const bus = this.node.store.state.bus.slice(-MAX_BUS)
    const at = bus.lastIndexOf(this.last)
    const next = bus.slice(at + 1).flatMap((event) => event ?? [])
    this.last = bus.at(-1)
    if (at === -1) this.listener.onDiscontinuity(this.node.store.state.head)
    else if (next.length > 0) this.listener.onEvents(next)
    return at !== -1 && next.length > 0
  }

  async stop(): Promise<void> {
    this.node.tails.delete(this)
  }
}
