import type { Cursor } from '../../events/cursor.ts'
import type { LogEvent } from '../../events/log-event.ts'
import { LinkError, type RedisLink } from '../../redis/link.ts'
import type { LogState } from './log-state.ts'
import type { RecentEvents } from './redis-recent-events.ts'
import type { StoreTime } from './store-time.ts'
import { type RawTailEntry, readTailEntry, type TailEntry } from './tail-entry.ts'

/** How long a read blocks in Redis, in milliseconds. After an empty result the tail is verified: silence proves nothing. */
export const BLOCK = 1_000
/** Max. number of entries that are read at a time; each has the events of one call. */
const COUNT = 32
/** After this number of events the tail yields to the event loop. */
const SLICE = 512
/** How many past entries are read for recent events when the tail begins, and how many at a time. */
const PAST = 1_024
const PAST_PAGE = 32
/** Max. age of a transient event in milliseconds. An older one is dropped when it is read: it is no longer useful. */
export const MAX_TRANSIENT_AGE = 2_000

export interface TailParts {
  readonly link: RedisLink
  readonly recent: RecentEvents
  readonly storeTime: StoreTime
  /** Reads the current position of the log, on the tail's own connection. */
  readonly where: () => Promise<LogState>
  readonly onEvents: (events: readonly LogEvent[]) => void
  readonly onDiscontinuity: (position: Cursor) => void
  /** Reports a fault that does not stop the tail. */
  readonly onFault: (error: unknown, what: string) => void
}

/**
 * Follows the log, entry by entry. Each entry has a number and a random name, and the name of its predecessor. So an entry is
 * accepted only as the continuation of the last one, even after Redis was restored. Anything else is a discontinuity.
 */
export class RedisTail {
  readonly #parts: TailParts
  #started: Promise<void> | undefined
  #epoch = ''
  #pos = 0
  #nonce = ''
  #loss = 0
  #isClosed = false
  #isReading = false
  #running: Promise<void> | undefined
  #later: Promise<void> | undefined
  #appended: LogState | undefined
  #renewedFor = ''
  #problem = ''

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

  /** Whether the tail has started, or will as soon as Redis is up. */
  get isWanted(): boolean {
    return this.isStarted || this.#later !== undefined
  }

  get isStarted(): boolean {
    return this.#running !== undefined
  }

  /** Takes the state in a reply on the connection for appends: see `#verify`. */
  observe(state: LogState): void {
    this.#appended = state
    const isRolledBack = state.loss !== this.#loss && state.pos <= this.#pos
    const epoch = `${state.epoch}/${state.loss}`
    if (!this.isStarted || (state.epoch === this.#epoch && !isRolledBack) || epoch === this.#renewedFor) return
    // The blocking read waits for the successor of a lost entry: a new connection ends it early.
    this.#renewedFor = epoch
    this.#parts.link.renew('the log has begun a new epoch')
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

  async close(): Promise<void> {
    this.#isClosed = true
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

  /** Begins at the head of the log. */
  async #begin(): Promise<LogState> {
    const { recent } = this.#parts
    const state = await this.#parts.where()
    const { pos } = state
    const [nonce] = state.rest as [string]
    const past = await this.#past(state.epoch, pos, nonce)
    this.#epoch = state.epoch
    this.#pos = pos
    this.#nonce = nonce
    this.#loss = state.loss
    recent.begin(past[0]?.head ?? state.head)
    for (const entry of past) recent.add(entry.entries, entry.evictions)
    // The past may be trimmed, corrupt or incomplete.
    if (recent.head.seq !== state.head.seq || recent.head.witness !== state.head.witness) recent.begin(state.head)
    this.#isReading = true
    return state
  }

  /** The newest entries, as far back as they are continuous, so that a new node can serve returning clients from memory. */
  async #past(epoch: string, pos: number, nonce: string): Promise<TailEntry[]> {
    const found: TailEntry[] = []
    let expected = { pos, nonce }
    for (let bytes = 0; bytes < this.#parts.recent.room && found.length < PAST; ) {
      const end = `${expected.pos}-0`
      const page = ['XREVRANGE', this.#key(epoch), end, '-', 'COUNT', String(PAST_PAGE)]
      const reply = (await this.#parts.link.send(page)) as RawTailEntry[]
      for (const raw of reply) {
        const entry = readTailEntry(raw, epoch)
        if (entry === undefined || entry.pos !== expected.pos || entry.nonce !== expected.nonce) return found.reverse()
        // Entries before a loss are left to Redis, which yields a gap for their cursors.
        if (entry.isLoss || entry.hasHole) return found.reverse()
        found.push(entry)
        bytes += raw[1].reduce((sum, field) => sum + field.length, 0)
        expected = { pos: entry.pos - 1, nonce: entry.before }
      }
      if (reply.length < PAST_PAGE) break
    }
    return found.reverse()
  }

  async #follow(): Promise<void> {
    let needsVerification = false
    while (!this.#isClosed) {
      try {
        if (needsVerification) await this.#verify()
        needsVerification = !(await this.#take(BLOCK))
      } catch (error) {
        // The connection was lost, or Redis could not answer. The tail is verified when it is back.
        if (!(error instanceof LinkError)) this.#report(error as Error)
        this.#isReading = false
        needsVerification = true
        await this.#untilUp()
      }
    }
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
    const appended = this.#appended
    const state = await this.#parts.where()
    const { pos } = state
    const [nonce] = state.rest as [string]
    if (appended !== undefined && (appended.epoch !== state.epoch || appended.pos > pos)) {
      // The connection for appends has seen a later log, or another one: this one may lead to a former master.
      this.#appended = undefined
      this.#parts.link.renew('it leads to another log than the connection for appends')
      return
    }
    const isEnd = pos === this.#pos && nonce === this.#nonce
    if (state.epoch !== this.#epoch || (pos <= this.#pos && !isEnd)) return this.#reportDiscontinuity()
    this.#isReading = true
    // The log has later entries: they must be readable.
    if (!isEnd && !(await this.#take(0)) && !this.#isClosed) await this.#reportDiscontinuity()
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
      this.#key(this.#epoch),
      from
    ])
    this.#isReading = true
    const [stream] = (reply ?? []) as [string, RawTailEntry[]][]
    if (stream === undefined) return false
    let dispatched = 0
    for (const raw of stream[1]) {
      if (this.#isClosed) return true
      const entry = readTailEntry(raw, this.#epoch)
      if (entry === undefined || entry.pos !== this.#pos + 1 || entry.before !== this.#nonce) {
        await this.#reportDiscontinuity()
        return true
      }
      const position = entry.hasHole ? (await this.#parts.where()).head : entry.isLoss ? entry.head : undefined
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
  }

  #key(epoch: string): string {
    return this.#parts.link.key(`${epoch}:tail`)
  }
}
