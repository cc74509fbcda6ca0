import type { Cursor } from '../../events/cursor.ts'
import type { LogEvent } from '../../events/log-event.ts'
import { LinkError, type RedisLink } from '../../redis/link.ts'
import type { LogState } from './log-state.ts'
import type { RecentEvents } from './redis-recent-events.ts'
import type { StoreTime } from './store-time.ts'
import { type RawTailEntry, readTailEntry, type TailEntry } from './tail-entry.ts'

/** How long a read waits in Redis for something new, in milliseconds. What it says then is checked: silence proves nothing. */
export const BLOCK = 1_000
/** How many entries, each of them what one call has appended, are taken at a time. */
const COUNT = 32
/** After so many events the event loop turns. */
const SLICE = 512
/** How many entries of the past are looked at for recent events when the tail begins, and how many at a time. */
const PAST = 1_024
const PAST_PAGE = 32
/** A transient event that this node reads so long after it was published is dropped, in milliseconds: nobody waits for it. */
export const MAX_TRANSIENT_AGE = 2_000

export interface TailParts {
  readonly link: RedisLink
  readonly recent: RecentEvents
  readonly storeTime: StoreTime
  /** Where the log is now: asked on the tail's own line. */
  readonly where: () => Promise<LogState>
  readonly onEvents: (events: readonly LogEvent[]) => void
  readonly onDiscontinuity: (position: Cursor) => void
  /** Something is wrong that does not stop the tail. */
  readonly onFault: (error: unknown, what: string) => void
}

/**
 * Follows the log, entry by entry. Each has a number and a random name, and names the one before: what follows on what was
 * read last is its continuation and nothing else, whatever happened to Redis meanwhile. All else is a break.
 */
export class RedisTail {
  readonly #parts: TailParts
  #started: Promise<void> | undefined
  #epoch = ''
  #pos = 0
  #nonce = ''
  #loss = 0
  #isClosed = false
  #isWell = false
  #running: Promise<void> | undefined
  #later: Promise<void> | undefined
  #appended: LogState | undefined
  #renewedFor = ''
  #problem = ''

  constructor(parts: TailParts) {
    this.#parts = parts
  }

  /** Whether it hears of what is appended. */
  get isWell(): boolean {
    return this.#isWell && this.#parts.link.isUp
  }

  /** Finds out where the log is; from then on everything that is appended is handed over. May be tried again if it fails. */
  start(): Promise<void> {
    this.#started ??= this.#start().catch((error: unknown) => {
      this.#started = undefined
      throw error
    })
    return this.#started
  }

  /** Whether somebody listens, or will as soon as Redis is there. */
  get isWanted(): boolean {
    return this.isStarted || this.#later !== undefined
  }

  get isStarted(): boolean {
    return this.#running !== undefined
  }

  /** What this node was told on the line that appends: see the check. */
  heard(state: LogState): void {
    this.#appended = state
    const isRolledBack = state.loss !== this.#loss && state.pos <= this.#pos
    const epoch = `${state.epoch}/${state.loss}`
    if (!this.isStarted || (state.epoch === this.#epoch && !isRolledBack) || epoch === this.#renewedFor) return
    // This line waits for what follows on what the log has lost: it need not wait to the end.
    this.#renewedFor = epoch
    this.#parts.link.renew('the log has begun anew')
  }

  /** Starts when Redis is there: a break, for who listens already has missed what came before. */
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

  /** Begins after what the log holds now. */
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
    // The past may have been trimmed away, or spoilt, or not be all there.
    if (recent.head.seq !== state.head.seq || recent.head.witness !== state.head.witness) recent.begin(state.head)
    this.#isWell = true
    return state
  }

  /** What was appended last, as far back as it follows on itself: clients that return to a new node miss little, too. */
  async #past(epoch: string, pos: number, nonce: string): Promise<TailEntry[]> {
    const pieces: TailEntry[] = []
    let expected = { pos, nonce }
    for (let bytes = 0; bytes < this.#parts.recent.room && pieces.length < PAST; ) {
      const end = `${expected.pos}-0`
      const page = ['XREVRANGE', this.#key(epoch), end, '-', 'COUNT', String(PAST_PAGE)]
      const reply = (await this.#parts.link.send(page)) as RawTailEntry[]
      for (const raw of reply) {
        const entry = readTailEntry(raw, epoch)
        if (entry === undefined || entry.pos !== expected.pos || entry.nonce !== expected.nonce) return pieces.reverse()
        // What is older than a loss is for Redis to tell: there cursors of that time get their gap.
        if (entry.isLoss || entry.hasHole) return pieces.reverse()
        pieces.push(entry)
        bytes += raw[1].reduce((sum, field) => sum + field.length, 0)
        expected = { pos: entry.pos - 1, nonce: entry.before }
      }
      if (reply.length < PAST_PAGE) break
    }
    return pieces.reverse()
  }

  async #follow(): Promise<void> {
    let mayBeOther = false
    while (!this.#isClosed) {
      try {
        if (mayBeOther) await this.#check()
        mayBeOther = !(await this.#take(BLOCK))
      } catch (error) {
        // The line was lost, or Redis could not answer. What has happened until it is back is seen by the check.
        if (!(error instanceof LinkError)) this.#report(error as Error)
        this.#isWell = false
        mayBeOther = true
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

  /** Waits for a line; one that is up, and answers with errors, is not asked again at once. */
  async #untilUp(): Promise<void> {
    const { link } = this.#parts
    const wasUp = link.isUp
    // A link that stays down is no error here: the next attempt waits again, and the link's loss is logged.
    await link.untilUp(BLOCK).catch(() => undefined)
    if (wasUp && !this.#isClosed) {
      link.renew('the tail could not be read')
      await link.untilUp(BLOCK).catch(() => undefined)
    }
  }

  /** Whether what was read last is still the log's past; if it is not, begins anew after a break. */
  async #check(): Promise<void> {
    const appended = this.#appended
    const state = await this.#parts.where()
    const { pos } = state
    const [nonce] = state.rest as [string]
    if (appended !== undefined && (appended.epoch !== state.epoch || appended.pos > pos)) {
      // The log was further on, or another one, on the line that appends: this one may lead to where the log is no more.
      this.#appended = undefined
      this.#parts.link.renew('it leads to another log than the line that appends')
      return
    }
    const isEnd = pos === this.#pos && nonce === this.#nonce
    if (state.epoch !== this.#epoch || (pos <= this.#pos && !isEnd)) return this.#break()
    this.#isWell = true
    // There is more than was read: then it must be there to be read.
    if (!isEnd && !(await this.#take(0)) && !this.#isClosed) await this.#break()
  }

  async #break(): Promise<void> {
    const { head } = await this.#begin()
    if (!this.#isClosed) this.#parts.onDiscontinuity(head)
  }

  /** Reads on from the last entry, by its number, and hands over. Returns whether there was anything. */
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
    this.#isWell = true
    const [stream] = (reply ?? []) as [string, RawTailEntry[]][]
    if (stream === undefined) return false
    let dispatched = 0
    for (const raw of stream[1]) {
      if (this.#isClosed) return true
      const entry = readTailEntry(raw, this.#epoch)
      if (entry === undefined || entry.pos !== this.#pos + 1 || entry.before !== this.#nonce) {
        await this.#break()
        return true
      }
      const position = entry.hasHole ? (await this.#parts.where()).head : entry.isLoss ? entry.head : undefined
      this.#pos = entry.pos
      this.#nonce = entry.nonce
      this.#hand(entry, position)
      dispatched += entry.entries.length
      if (dispatched < SLICE) continue
      dispatched = 0
      await new Promise((resolve) => setImmediate(resolve))
    }
    return true
  }

  /** Hands a piece over. Given a position, listeners read history first: the piece lacks what lies before that. */
  #hand(entry: TailEntry, position: Cursor | undefined): void {
    const { recent, storeTime, onEvents, onDiscontinuity, onFault } = this.#parts
    if (entry.isLoss) this.#loss = entry.head.seq
    if (entry.isSpoilt) onFault(new Error(`entry ${entry.pos} of the tail`), 'events in Redis cannot be read')
    if (position !== undefined) {
      recent.begin(position)
      onDiscontinuity(position)
    }
    // After a hole was met, history was read beyond this piece.
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
