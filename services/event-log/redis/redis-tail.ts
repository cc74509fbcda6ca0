import type { Cursor } from '../../events/cursor.ts'
import type { LogEvent } from '../../events/log-event.ts'
import { randomText } from '../../random.ts'
import { LinkError, type RedisLink } from '../../redis/link.ts'
import type { LogState } from './log-state.ts'
import type { NodeInterest } from './node-interest.ts'
import type { RecentEvents } from './redis-recent-events.ts'
import type { StoreTime } from './store-time.ts'
import { type RawTailEntry, readTailEntry, type TailEntry } from './tail-entry.ts'

/** How long a read blocks in Redis, in milliseconds. After an empty result the tail is verified: silence proves nothing. */
export const BLOCK = 1_000
/** Max. number of entries that are read at a time; each has the events of one call. */
const COUNT = 32
/** After this number of events the tail yields to the event loop. */
const SLICE = 512
/** Redis deletes the entries that the node has read once they have this weight, and hears of the node at least so often. */
const UNACKNOWLEDGED = 1_048_576
const RENEW = 10_000
/** Max. age of a transient event in milliseconds. An older one is dropped when it is read: it is no longer useful. */
export const MAX_TRANSIENT_AGE = 2_000

export interface TailParts {
  readonly link: RedisLink
  readonly recent: RecentEvents
  readonly storeTime: StoreTime
  readonly interest: NodeInterest
  /**
   * Reads the current positions of the log and of a tail, on the tail's own connection. Keeps the tail for longer, but not its
   * entries up to a number.
   */
  readonly where: (tail: string, read: number) => Promise<LogState>
  /** Begins a tail in place of a former one, on the tail's own connection. */
  readonly join: (former: string, tail: string, name: string, isAll: boolean) => Promise<LogState>
  /** The monotonic time in milliseconds. */
  readonly now: () => number
  readonly onEvents: (events: readonly LogEvent[]) => void
  readonly onHead: (head: Cursor) => void
  readonly onDiscontinuity: (position: Cursor) => void
  /** Reports a fault that does not stop the tail. */
  readonly onFault: (error: unknown, what: string) => void
}

/** At the number `pos` of the tail, the log had this head. */
interface Mark {
  readonly pos: number
  readonly head: Cursor
}

/**
 * Follows this node's tail in Redis, entry by entry. Each entry has a number and a random name, and the name of its predecessor. So an entry is
 * accepted only as the continuation of the last one, even after Redis was restored. Anything else is a discontinuity.
 */
export class RedisTail {
  readonly #parts: TailParts
  #started: Promise<void> | undefined
  #id = ''
  #epoch = ''
  #pos = 0
  #nonce = ''
  #loss = 0
  #isClosed = false
  #isReading = false
  #running: Promise<void> | undefined
  #later: Promise<void> | undefined
  #appended: LogState | undefined
  #mark: Mark | undefined
  /** The weight of the entries that were read, and of those among them that Redis has deleted. */
  #read = 0
  #acknowledged = 0
  #renewedAt = 0
  #renewedFor = ''
  #problem = ''
  #waiters: (() => void)[] = []

  constructor(parts: TailParts) {
    this.#parts = parts
  }

  /** Whether new entries reach this node. */
  get isHealthy(): boolean {
    return this.#isReading && this.#parts.link.isUp
  }

  /** Reads the position of the log; every later event is dispatched. May be called again if it fails. */
  start(): Promise<void> {
    this.#started ??= this.#start().catch((error: unknown) => {
      this.#started = undefined
      throw error
    })
    return this.#started
  }

  /** The id of the tail; empty before it has started. */
  get id(): string {
    return this.#id
  }

  /** Whether the tail has started, or will as soon as Redis is up. */
  get isWanted(): boolean {
    return this.isStarted || this.#later !== undefined
  }

  get isStarted(): boolean {
    return this.#running !== undefined
  }

  /** Takes the state in a reply on the connection for appends: see `#verify`. */
  observe(state: LogState): void {
    const { tail, head, loss } = state
    // The reply to a call from before this tail says nothing about it.
    if (!this.isStarted || tail.id !== this.#id) return
    this.#appended = state
    const isRolledBack = loss !== this.#loss && tail.pos <= this.#pos
    const { interest } = this.#parts
    if (state.epoch !== this.#epoch || isRolledBack || tail.nonce === '') this.renew(`${state.epoch}/${loss}`)
    // Events may be missing: the head must not move past them.
    else if (!interest.isExpected(tail.registered, interest.changes)) this.renew('interests')
    else if (tail.pos === this.#pos && tail.nonce === this.#nonce) this.#reach(head)
    else if (tail.pos > this.#pos) this.#mark = { pos: tail.pos, head }
  }

  /** The tail is of no use any more, for a reason that ends it once. */
  renew(reason: string): void {
    const renewed = `${this.#id}/${reason}`
    if (renewed === this.#renewedFor) return
    this.#renewedFor = renewed
    // The blocking read waits for the successor of a lost entry: a new connection ends it early.
    this.#parts.link.renew('the log has begun a new epoch, or lost the tail of this node')
  }

  /** Starts when Redis is up, with a discontinuity: earlier events have not reached the listeners. */
  startLater(): void {
    this.#later ??= this.#startWhenUp()
  }

  async #startWhenUp(): Promise<void> {
    while (!this.#isClosed && !this.isStarted) {
      await this.start().then(
        () => this.#isClosed || this.#parts.onDiscontinuity(this.#parts.recent.head),
        () => this.#untilUp()
      )
    }
  }

  /** Resolves when all events up to a number that are for this node have been dispatched. */
  async reached(seq = 0): Promise<void> {
    while (this.#parts.recent.head.seq < seq && !this.#isClosed)
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake()
    this.#parts.link.close()
    // A start that fails has been rejected to its caller.
    await this.#started?.catch(() => undefined)
    await this.#later
    await this.#running
  }

  async #start(): Promise<void> {
    await this.#begin()
    if (!this.#isClosed) this.#running = this.#follow()
  }

  /** Begins a tail at the head of the log. */
  async #begin(): Promise<LogState> {
    const { recent, interest, join, now } = this.#parts
    const id = randomText(6)
    const name = randomText(10)
    // The channels are registered one after the other. Until all of them are, every event comes here.
    const isAll = interest.isWanted
    const state = await join(this.#id, id, name, isAll)
    this.#id = id
    this.#epoch = state.epoch
    this.#pos = 0
    this.#nonce = name
    this.#loss = state.loss
    this.#mark = undefined
    this.#read = 0
    this.#acknowledged = 0
    this.#renewedAt = now()
    recent.begin(state.head)
    interest.joined(id, name, state.head, isAll)
    this.#wake()
    this.#isReading = true
    return state
  }

  async #follow(): Promise<void> {
    let needsVerification = false
    while (!this.#isClosed) {
      try {
        if (needsVerification) await this.#verify()
        needsVerification = !(await this.#take(BLOCK)) || this.#isRenewalDue
      } catch (error) {
        // The connection was lost, or Redis could not answer. The tail is verified when it is back.
        if (!(error instanceof LinkError)) this.#report(error as Error)
        this.#isReading = false
        needsVerification = true
        await this.#untilUp()
      }
    }
  }

  get #isRenewalDue(): boolean {
    return this.#read - this.#acknowledged > UNACKNOWLEDGED || this.#parts.now() - this.#renewedAt > RENEW
  }

  /** Where the tail ends. */
  async #where(): Promise<LogState> {
    const state = await this.#parts.where(this.#id, this.#pos)
    this.#acknowledged = this.#read
    this.#renewedAt = this.#parts.now()
    return state
  }

  /** Logs why the tail cannot be read, once for each reason. */
  #report(error: Error): void {
    if (error.message === this.#problem) return
    this.#problem = error.message
    this.#parts.onFault(error, 'the tail of the event log cannot be read')
  }

  /** Waits for a connection; replaces one that is up and answers with errors. */
  async #untilUp(): Promise<void> {
    const { link } = this.#parts
    const wasUp = link.isUp
    // A link that stays down is not an error here: the next attempt waits again, and the link's loss is logged.
    await link.untilUp(BLOCK).catch(() => undefined)
    if (wasUp && !this.#isClosed) {
      link.renew('the tail could not be read')
      await link.untilUp(BLOCK).catch(() => undefined)
    }
  }

  /** Verifies continuity with the current log; without it, begins anew after a discontinuity. */
  async #verify(): Promise<void> {
    const { interest, link } = this.#parts
    const { changes } = interest
    const appended = this.#appended
    const state = await this.#where()
    const { tail } = state
    const isLater = appended?.tail.id === this.#id && appended.tail.pos > tail.pos
    if (appended !== undefined && (appended.epoch !== state.epoch || isLater)) {
      // The connection for appends has seen a later log, or another one: this one may lead to a former master.
      this.#appended = undefined
      link.renew('it leads to another log than the connection for appends')
      return
    }
    const isEnd = tail.pos === this.#pos && tail.nonce === this.#nonce
    const isOther = state.epoch !== this.#epoch || tail.nonce === '' || (tail.pos <= this.#pos && !isEnd)
    if (isOther || !interest.isExpected(tail.registered, changes)) return this.#reportDiscontinuity()
    this.#isReading = true
    if (isEnd) {
      await interest.settled
      this.#reach(state.head)
      return
    }
    // The log has later entries: they must be readable.
    if (!(await this.#take(0)) && !this.#isClosed) await this.#reportDiscontinuity()
  }

  async #reportDiscontinuity(): Promise<void> {
    const { head } = await this.#begin()
    if (!this.#isClosed) this.#parts.onDiscontinuity(head)
  }

  /** Reads the entries after the last one, by its number, and dispatches them. Returns whether there were any. */
  async #take(block: number): Promise<boolean> {
    const waiting = block === 0 ? [] : ['BLOCK', String(block)]
    const from = `${this.#pos}-0`
    const reply = await this.#parts.link.send([
      'XREAD',
      'COUNT',
      String(COUNT),
      ...waiting,
      'STREAMS',
      this.#parts.link.key(`${this.#epoch}:tail:${this.#id}`),
      from
    ])
    this.#isReading = true
    const [stream] = (reply ?? []) as [string, RawTailEntry[]][]
    if (stream === undefined) return false
    let dispatched = 0
    for (const raw of stream[1]) {
      // The streams of these channels get the events from before their registration first.
      if (this.#parts.interest.isLate) await this.#parts.interest.settled
      if (this.#isClosed) return true
      const entry = readTailEntry(raw, this.#epoch)
      if (entry === undefined || entry.pos !== this.#pos + 1 || entry.before !== this.#nonce) {
        await this.#reportDiscontinuity()
        return true
      }
      const position = entry.hasHole ? (await this.#where()).head : entry.isLoss ? entry.head : undefined
      this.#read = entry.weightBefore
      this.#pos = entry.pos
      this.#nonce = entry.nonce
      this.#dispatch(entry, position)
      dispatched += entry.entries.length
      if (dispatched < SLICE) continue
      dispatched = 0
      await new Promise((resolve) => setImmediate(resolve))
    }
    return true
  }

  /** Dispatches an entry. With a position, listeners read history first: the entry lacks the events before that. */
  #dispatch(entry: TailEntry, position: Cursor | undefined): void {
    const { recent, storeTime, onEvents, onDiscontinuity, onFault } = this.#parts
    if (entry.isLoss) this.#loss = entry.head.seq
    if (entry.isCorrupt) onFault(new Error(`entry ${entry.pos} of the tail`), 'events in Redis cannot be read')
    if (position !== undefined) {
      recent.begin(position)
      onDiscontinuity(position)
    }
    // After a hole, the position is beyond this entry.
    const oldest = storeTime.now() - MAX_TRANSIENT_AGE
    const entries = entry.entries.filter(({ cursor, time }) =>
      cursor === null ? time >= oldest : cursor.seq > recent.head.seq
    )
    onEvents(recent.add(entries, entry.evictions))
    this.#wake()
    this.#reach(entry.head)
    if (this.#mark === undefined || this.#mark.pos > entry.pos) return
    this.#reach(this.#mark.head)
    this.#mark = undefined
  }

  /** All events for this node up to this head have been dispatched. */
  #reach(head: Cursor): void {
    const { recent, interest, onHead } = this.#parts
    if (interest.isLate || head.seq <= recent.head.seq) return
    recent.reach(head)
    onHead(head)
    this.#wake()
  }
}
