import type { Channel } from '../../services/events/channel.ts'
import { END_SUFFIX, isEnded } from '../../services/events/cursor.ts'
import { isFor, isGone, isRetained, type ModelEntry, type ModelLog, type Position } from './model-log.ts'
import type { Dispatched } from './strict-parser.ts'

/** A violated promise: `rule` is one of the invariants of the model. */
export class Violation extends Error {
  readonly rule: string

  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`)
    this.rule = rule
  }
}

export interface ConnectionStart {
  readonly user: string
  readonly channels: readonly Channel[]
  /** The hub's head when the stream was opened. */
  readonly opened: Position
  /** How much history the client requested, if it sent no id. */
  readonly requested: 'now' | 'oldest' | 'last'
  /** The id that the client sent. */
  readonly lastEventId: string | undefined
  /** The gap that this id must cause, if that is certain. */
  readonly requiredGap: 'unknown' | 'diverged' | 'reset' | undefined
  readonly openedAt: number
}

/**
 * Judges the events of one connection against the model's log. Every event is an entry of the log, for this client, in
 * order; between two of them no entry is missing without an earlier gap.
 */
export class ConnectionCheck {
  readonly start: ConnectionStart
  readonly #log: ModelLog
  readonly #now: () => number
  /** The client's position; undefined after a gap that discards it, and before the first position. */
  #position: Position | undefined
  #requiredGap: 'unknown' | 'diverged' | 'reset' | undefined
  readonly #received = new Set<ModelEntry>()
  /** Entries that a gap has reported, or that the client did not request. */
  readonly #excused = new Set<ModelEntry>()
  /** The highest number that a gap has reported, by epoch: a later eviction below it is known to the client. */
  readonly #reportedUpTo: number[] = []
  readonly #transient = new Set<string>()
  #welcomes: { readonly resumed: boolean }[] = []
  #events = 0
  /** The number of evictions when the log was last read for this client, and at the read before the last gap. */
  #evictionsAtRead = 0
  #evictionsAtGap = 0
  closed: { readonly reason: string; readonly reconnect: boolean } | undefined

  constructor(log: ModelLog, now: () => number, start: ConnectionStart) {
    this.#log = log
    this.#now = now
    this.start = start
    this.#requiredGap = start.requiredGap
    if (start.lastEventId !== undefined) this.#position = log.positionOf(start.lastEventId)
    else if (start.requested === 'now') this.#position = start.opened
  }

  /** Judges a dispatched event. `transients` are the data of transient events, with their channels. */
  take(dispatched: Dispatched, transients: ReadonlyMap<string, readonly Channel[]>): void {
    if (this.closed !== undefined) throw new Violation('V12', `${dispatched.event} came after the close`)
    this.#log.expire(this.#now())
    if (dispatched.event === 'hub.welcome') this.#welcome(dispatched)
    else if (dispatched.event === 'hub.gap') this.#gap(dispatched)
    else if (dispatched.event === 'hub.heartbeat') this.#heartbeat(dispatched)
    else if (dispatched.event === 'hub.close') this.#close(dispatched)
    else this.#published(dispatched, transients)
    this.#events++
  }

  /** A read of the log for this client begins: its answer may describe this moment, however late it arrives. */
  onRead(): void {
    this.#log.expire(this.#now())
    this.#evictionsAtRead = this.#log.evictions
  }

  /** Judges a settled hub: every entry for the client has arrived, or a gap reported it. */
  rest(): void {
    this.#log.expire(this.#now())
    // After a gap that discarded the position, the log may have begun a new epoch with no event for the client.
    const position = this.#position ?? { epoch: this.#log.epoch, seq: 0 }
    if (position.epoch !== this.#log.epoch) throw new Violation('V6', 'the client was left in an old epoch of the log')
    if (this.#requiredGap !== undefined) throw new Violation('V6', `a gap (${this.#requiredGap}) was never reported`)
    // The same rule as for the first id: nothing is left of the retained events that the client asked for.
    if (this.#position === undefined && this.start.lastEventId === undefined)
      this.#excuseUnasked(position, this.#log.head)
    this.#nothingMissing('V6', position, this.#log.head)
  }

  #welcome({ data, id }: Dispatched): void {
    const { user, resumed } = JSON.parse(data)
    if (this.#welcomes.length > 0 || this.#events > 0) throw new Violation('W', 'the welcome was not the first event')
    if (user !== this.start.user) throw new Violation('V3', `the welcome is for ${user}`)
    if (resumed && this.start.lastEventId === undefined) throw new Violation('W', 'resumed without a last event ID')
    this.#welcomes.push({ resumed })
    if (id !== undefined) this.#moveTo(id, 'the welcome')
  }

  #heartbeat({ data, id }: Dispatched): void {
    if (data !== '') throw new Violation('W', `a heartbeat has the data ${data}`)
    if (id !== undefined) this.#moveTo(id, 'a heartbeat')
  }

  #close({ data, id }: Dispatched): void {
    const closed = JSON.parse(data)
    this.closed = closed
    if (isEnded(id ?? '') === closed.reconnect) throw new Violation('W', `a close ${data} with the id ${id}`)
    if (id === undefined || id === `0${END_SUFFIX}`) return
    // A client that returns and was not welcomed has no other id. Otherwise the id of the end is not a cursor.
    if (closed.reconnect && this.#events > 0) throw new Violation('W', `a close ${data} with the id ${id}`)
    const at = closed.reconnect ? id : id.slice(0, -END_SUFFIX.length)
    // The close may return the client's own id, of any form.
    if (at !== this.start.lastEventId) this.#moveTo(at, 'the close')
  }

  #gap({ data, id }: Dispatched): void {
    const { reason, oldest } = JSON.parse(data)
    if (reason === 'evicted') this.#evicted()
    else this.#discarded(reason)
    if ((oldest === null) !== (id !== undefined)) throw new Violation('W', `a gap ${data} with the id ${id}`)
    if (id !== undefined) this.#moveTo(id, 'a gap')
  }

  #evicted(): void {
    const { channels, opened } = this.start
    const since = this.#position ?? { epoch: opened.epoch, seq: 0 }
    // A late answer may report a gap in an epoch that is over.
    const epochs =
      this.#position !== undefined ? [since.epoch] : this.#log.epochs.map((_, epoch) => epoch).slice(opened.epoch)
    const missing = epochs
      .flatMap((epoch) => this.#log.addressed(channels, { epoch, seq: epoch === since.epoch ? since.seq : 0 }))
      .filter(
        (entry) => this.#isAskedFor(entry) && (!this.#excused.has(entry) || entry.eviction > this.#evictionsAtGap)
      )
    // A log counts evictions by channel. An event in several channels of a stream may still be retained in one.
    if (!missing.some(({ evictedFrom }) => channels.some((channel) => evictedFrom.has(channel)))) {
      throw new Violation('V5', `a gap was reported after ${show(since)}, and nothing is missing`)
    }
    this.#evictionsAtGap = this.#evictionsAtRead
    this.#excuse((entry) => epochs.includes(entry.epoch) && (entry.epoch !== since.epoch || entry.seq > since.seq))
  }

  /** Judges a gap that discards the client's position. */
  #discarded(reason: string): void {
    const isLost = (this.#position ?? this.start.opened).epoch < this.#log.epoch
    const isExpected = reason === this.#requiredGap || (reason === 'reset' && isLost)
    if (!isExpected) throw new Violation('V5', `a gap was reported because of ${reason}, at ${show(this.#position)}`)
    this.#requiredGap = undefined
    this.#position = undefined
    this.#evictionsAtGap = this.#evictionsAtRead
    this.#excuse(() => true)
  }

  #published(dispatched: Dispatched, transients: ReadonlyMap<string, readonly Channel[]>): void {
    const { id, event, data } = dispatched
    if (this.#requiredGap !== undefined)
      throw new Violation('V4', `an event came before a gap (${this.#requiredGap}) was reported`)
    if (id === undefined) {
      this.#transientEvent(data, transients.get(data))
      return
    }
    const position = this.#log.positionOf(id)
    const entry = position && this.#log.entryAt(position)
    if (entry === undefined) throw new Violation('V2', `the log never had ${id}`)
    if (entry.event !== event || entry.data !== data)
      throw new Violation('V2', `${show(entry)} came as ${event} ${data}`)
    if (!isFor(entry, this.start.channels)) throw new Violation('V3', `${show(entry)} is not for ${this.start.user}`)
    if (this.#position?.epoch === entry.epoch && entry.seq <= this.#position.seq) {
      throw new Violation('V1', `${show(entry)} came after ${show(this.#position)}`)
    }
    if (entry.expiredAt < this.start.openedAt)
      throw new Violation('V2', `${show(entry)} had expired before this stream`)
    this.#received.add(entry)
    this.#moveTo(id, 'an event')
  }

  #transientEvent(data: string, channels: readonly Channel[] | undefined): void {
    if (channels === undefined) throw new Violation('V2', `nobody sent ${data}`)
    if (!isFor({ channels }, this.start.channels)) throw new Violation('V3', `${data} is not for ${this.start.user}`)
    if (this.#transient.has(data)) throw new Violation('V1', `${data} came twice`)
    this.#transient.add(data)
  }

  /** Moves the client to a position: every entry up to it has arrived, or a gap reported it. */
  #moveTo(id: string, what: string): void {
    const position = this.#log.positionOf(id)
    if (position === undefined) throw new Violation('V2', `${what} carries ${id}, which the log never assigned`)
    if (position.seq > (this.#log.epochs[position.epoch]?.length ?? 0))
      throw new Violation('V4', `${what} is ahead of the log`)
    if (this.#position !== undefined && this.#position.epoch !== position.epoch) {
      throw new Violation(
        'V4',
        `${what} moves the client from ${show(this.#position)} to ${show(position)} without a gap`
      )
    }
    const from = this.#position ?? { epoch: position.epoch, seq: 0 }
    if (position.seq < from.seq)
      throw new Violation('V1', `${what} moves the client back from ${show(from)} to ${show(position)}`)
    if (this.#position === undefined && this.start.lastEventId === undefined) this.#excuseUnasked(from, position.seq)
    this.#nothingMissing('V4', from, position.seq, what)
    this.#position = position
  }

  /** A client without an id that has not received one is entitled only to entries from now on. */
  #isAskedFor({ epoch, seq }: ModelEntry): boolean {
    const { lastEventId, opened } = this.start
    return this.#position !== undefined || lastEventId !== undefined || epoch !== opened.epoch || seq > opened.seq
  }

  /**
   * A client that requests retained or newest events does not request evicted or older ones, when it receives the
   * first.
   */
  #excuseUnasked(from: Position, upTo: number): void {
    const { requested, opened, channels } = this.start
    for (const entry of this.#log.addressed(channels, from)) {
      // If the log began a new epoch meanwhile, the client begins with it.
      const wasAppended = entry.epoch !== opened.epoch || entry.seq <= opened.seq
      const isOlder = requested === 'last' && entry.seq <= upTo
      if (wasAppended && (isOlder || isGone(entry, channels))) this.#excused.add(entry)
    }
  }

  #nothingMissing(rule: string, after: Position, upTo: number, what = 'rest'): void {
    const { channels } = this.start
    for (const entry of this.#log.addressed(channels, after, upTo)) {
      if (this.#received.has(entry) || this.#excused.has(entry)) continue
      if (isGone(entry, channels) && entry.seq <= (this.#reportedUpTo[entry.epoch] ?? 0)) continue
      if (isRetained(entry, channels))
        throw new Violation(rule, `${show(entry)} is missing at ${what}, after ${show(after)}`)
      if (isGone(entry, channels))
        throw new Violation(rule, `${show(entry)} is gone, and ${what} came before a gap was reported`)
    }
  }

  #excuse(isConcerned: (entry: ModelEntry) => boolean): void {
    const { channels } = this.start
    for (const entries of this.#log.epochs) {
      for (const entry of entries) {
        if (!isConcerned(entry) || !channels.some((channel) => entry.evictedFrom.has(channel))) continue
        this.#reportedUpTo[entry.epoch] = Math.max(this.#reportedUpTo[entry.epoch] ?? 0, entry.seq)
        if (isGone(entry, channels)) this.#excused.add(entry)
      }
    }
  }
}

function show(position: Position | undefined): string {
  return position === undefined ? 'nowhere' : `${position.epoch}/${position.seq}`
}
