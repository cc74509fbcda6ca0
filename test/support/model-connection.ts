import type { Channel } from '../../services/events/channel.ts'
import { END_SUFFIX, isEnded } from '../../services/events/cursor.ts'
import { isFor, isGone, isRetained, type ModelEntry, type ModelLog, type Place } from './model-log.ts'
import type { Dispatched } from './strict-parser.ts'

/** A promise that was broken: `rule` is one of the invariants of the model. */
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
  /** Where the hub said that it was when the stream was opened. */
  readonly opened: Place
  /** How much of history the client asked for, if it brought no id. */
  readonly asks: 'now' | 'oldest' | 'last'
  /** What the client brought. */
  readonly lastEventId: string | undefined
  /** What is wrong with it, if that is certain. */
  readonly mustTell: 'unknown' | 'diverged' | 'reset' | undefined
  readonly openedAt: number
}

/**
 * Judges one connection by what is written to it, against the model's log: every event is one that the log had, for this
 * client, in order, and between two of them nothing is missing that the client was not told of before.
 */
export class ConnectionCheck {
  readonly start: ConnectionStart
  readonly #log: ModelLog
  readonly #now: () => number
  /** Up to where the client has been taken; undefined where it was told that it is nowhere, or has not been told yet. */
  #position: Place | undefined
  #mustTell: 'unknown' | 'diverged' | 'reset' | undefined
  readonly #received = new Set<ModelEntry>()
  /** What the client was told is missing, or did not ask for. */
  readonly #excused = new Set<ModelEntry>()
  /** Up to where it was told, by life: what goes later was there before the client was told that not all is. */
  readonly #toldUpTo: number[] = []
  readonly #transient = new Set<string>()
  #welcomes: { readonly resumed: boolean }[] = []
  #events = 0
  /** How many evictions there had been when the log was last asked for this client, and when it was asked for the last gap. */
  #asked = 0
  #told = 0
  closed: { readonly reason: string; readonly reconnect: boolean } | undefined

  constructor(log: ModelLog, now: () => number, start: ConnectionStart) {
    this.#log = log
    this.#now = now
    this.start = start
    this.#mustTell = start.mustTell
    if (start.lastEventId !== undefined) this.#position = log.positionOf(start.lastEventId)
    else if (start.asks === 'now') this.#position = start.opened
  }

  /** Takes what was just dispatched. `transients` are the data of transient events, and whom they are for. */
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

  /** The log is being asked for what the client is owed: what it answers may be of now, however late it comes. */
  asks(): void {
    this.#log.expire(this.#now())
    this.#asked = this.#log.evictions
  }

  /** Now that everything has come to rest: whatever was addressed to the client is there, or it knows better. */
  rest(): void {
    this.#log.expire(this.#now())
    // It may have been told that it is nowhere, and then the log began anew with nothing for it.
    const position = this.#position ?? { epoch: this.#log.epoch, seq: 0 }
    if (position.epoch !== this.#log.epoch) throw new Violation('V6', 'the client was left in an old life of the log')
    if (this.#mustTell !== undefined) throw new Violation('V6', `a gap (${this.#mustTell}) was never told`)
    this.#nothingMissing('V6', position, this.#log.head)
  }

  #welcome({ data, id }: Dispatched): void {
    const { user, resumed } = JSON.parse(data)
    if (this.#welcomes.length > 0 || this.#events > 0) throw new Violation('W', 'the welcome was not the first event')
    if (user !== this.start.user) throw new Violation('V3', `the welcome is for ${user}`)
    if (resumed && this.start.lastEventId === undefined) throw new Violation('W', 'resumed without having come back')
    this.#welcomes.push({ resumed })
    if (id !== undefined) this.#move(id, 'the welcome')
  }

  #heartbeat({ data, id }: Dispatched): void {
    if (data !== '') throw new Violation('W', `a heartbeat says ${data}`)
    if (id !== undefined) this.#move(id, 'a heartbeat')
  }

  #close({ data, id }: Dispatched): void {
    const closed = JSON.parse(data)
    this.closed = closed
    if (isEnded(id ?? '') === closed.reconnect) throw new Violation('W', `a close ${data} with the id ${id}`)
    if (id === undefined || id === `0${END_SUFFIX}`) return
    // Who comes back, and was not welcomed, has no other id; else the end is no place to come back to.
    if (closed.reconnect && this.#events > 0) throw new Violation('W', `a close ${data} with the id ${id}`)
    const at = closed.reconnect ? id : id.slice(0, -END_SUFFIX.length)
    // It may give back what the client has brought, whatever that is.
    if (at !== this.start.lastEventId) this.#move(at, 'the close')
  }

  #gap({ data, id }: Dispatched): void {
    const { reason, oldest } = JSON.parse(data)
    if (reason === 'evicted') this.#evicted()
    else this.#nowhere(reason)
    if ((oldest === null) !== (id !== undefined)) throw new Violation('W', `a gap ${data} with the id ${id}`)
    if (id !== undefined) this.#move(id, 'a gap')
  }

  #evicted(): void {
    const { channels, opened } = this.start
    const since = this.#position ?? { epoch: opened.epoch, seq: 0 }
    // An answer may come late, and tell of a life of the log that is over.
    const lives =
      this.#position !== undefined ? [since.epoch] : this.#log.lives.map((_, epoch) => epoch).slice(opened.epoch)
    const missing = lives
      .flatMap((epoch) => this.#log.addressed(channels, { epoch, seq: epoch === since.epoch ? since.seq : 0 }))
      .filter((entry) => this.#isAskedFor(entry) && (!this.#excused.has(entry) || entry.eviction > this.#told))
    // A log counts what was dropped from each channel; of an event under several that a stream listens to, one may have it still.
    if (!missing.some(({ evictedFrom }) => channels.some((channel) => evictedFrom.has(channel)))) {
      throw new Violation('V5', `a gap was told after ${show(since)}, and nothing is missing`)
    }
    this.#told = this.#asked
    this.#excuse((entry) => lives.includes(entry.epoch) && (entry.epoch !== since.epoch || entry.seq > since.seq))
  }

  /** The client is told that where it was is nowhere in this log. */
  #nowhere(reason: string): void {
    const isLost = (this.#position ?? this.start.opened).epoch < this.#log.epoch
    const isRight = reason === this.#mustTell || (reason === 'reset' && isLost)
    if (!isRight) throw new Violation('V5', `a gap was told because of ${reason}, at ${show(this.#position)}`)
    this.#mustTell = undefined
    this.#position = undefined
    this.#told = this.#asked
    this.#excuse(() => true)
  }

  #published(dispatched: Dispatched, transients: ReadonlyMap<string, readonly Channel[]>): void {
    const { id, event, data } = dispatched
    if (this.#mustTell !== undefined)
      throw new Violation('V4', `an event came before a gap (${this.#mustTell}) was told`)
    if (id === undefined) {
      this.#passing(data, transients.get(data))
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
    if (entry.lapsedAt < this.start.openedAt) throw new Violation('V2', `${show(entry)} had lapsed before this stream`)
    this.#received.add(entry)
    this.#move(id, 'an event')
  }

  #passing(data: string, channels: readonly Channel[] | undefined): void {
    if (channels === undefined) throw new Violation('V2', `nobody sent ${data}`)
    if (!isFor({ channels }, this.start.channels)) throw new Violation('V3', `${data} is not for ${this.start.user}`)
    if (this.#transient.has(data)) throw new Violation('V1', `${data} came twice`)
    this.#transient.add(data)
  }

  /** The client is taken to a place: everything up to it has to have been given, or told of. */
  #move(id: string, what: string): void {
    const position = this.#log.positionOf(id)
    if (position === undefined) throw new Violation('V2', `${what} carries ${id}, which the log never gave out`)
    if (position.seq > (this.#log.lives[position.epoch]?.length ?? 0))
      throw new Violation('V4', `${what} is ahead of the log`)
    if (this.#position !== undefined && this.#position.epoch !== position.epoch) {
      throw new Violation(
        'V4',
        `${what} takes the client from ${show(this.#position)} to ${show(position)} without a word`
      )
    }
    const from = this.#position ?? { epoch: position.epoch, seq: 0 }
    if (position.seq < from.seq)
      throw new Violation('V1', `${what} takes the client back from ${show(from)} to ${show(position)}`)
    if (this.#position === undefined && this.start.lastEventId === undefined) this.#excuseUnasked(from, position.seq)
    this.#nothingMissing('V4', from, position.seq, what)
    this.#position = position
  }

  /** Who comes without an id, and was not given any, is owed what came since. */
  #isAskedFor({ epoch, seq }: ModelEntry): boolean {
    const { lastEventId, opened } = this.start
    return this.#position !== undefined || lastEventId !== undefined || epoch !== opened.epoch || seq > opened.seq
  }

  /** Who asks for what is held, or for the newest of it, does not ask for what is gone, or older, when he is first given any. */
  #excuseUnasked(from: Place, upTo: number): void {
    const { asks, opened, channels } = this.start
    for (const entry of this.#log.addressed(channels, from)) {
      // If the log began anew meanwhile, he begins with it.
      const wasThere = entry.epoch !== opened.epoch || entry.seq <= opened.seq
      const isOlder = asks === 'last' && entry.seq <= upTo
      if (wasThere && (isOlder || isGone(entry, channels))) this.#excused.add(entry)
    }
  }

  #nothingMissing(rule: string, after: Place, upTo: number, what = 'rest'): void {
    const { channels } = this.start
    for (const entry of this.#log.addressed(channels, after, upTo)) {
      if (this.#received.has(entry) || this.#excused.has(entry)) continue
      if (isGone(entry, channels) && entry.seq <= (this.#toldUpTo[entry.epoch] ?? 0)) continue
      if (isRetained(entry, channels))
        throw new Violation(rule, `${show(entry)} is missing at ${what}, after ${show(after)}`)
      if (isGone(entry, channels))
        throw new Violation(rule, `${show(entry)} is gone, and ${what} came before a gap was told`)
    }
  }

  #excuse(isConcerned: (entry: ModelEntry) => boolean): void {
    const { channels } = this.start
    for (const entries of this.#log.lives) {
      for (const entry of entries) {
        if (!isConcerned(entry) || !channels.some((channel) => entry.evictedFrom.has(channel))) continue
        this.#toldUpTo[entry.epoch] = Math.max(this.#toldUpTo[entry.epoch] ?? 0, entry.seq)
        if (isGone(entry, channels)) this.#excused.add(entry)
      }
    }
  }
}

function show(position: Place | undefined): string {
  return position === undefined ? 'nowhere' : `${position.epoch}/${position.seq}`
}
