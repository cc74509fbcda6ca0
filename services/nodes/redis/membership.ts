import type { Clock } from '../../clock.ts'
import { randomText } from '../../cursor.ts'
import { LinkError, type LuaScript, type RedisArgument, type RedisLink } from '../../event-log/redis/link.ts'
import type { LocalNode, StreamEntry } from '../nodes.ts'
import { type Change, News } from './news.ts'
import { JOIN, RENEW, SWEEP, WRITE } from './scripts.ts'

export interface MembershipOptions {
  readonly link: RedisLink
  /** The key that holds the leases, under which all else lies. */
  readonly key: string
  /** In milliseconds. */
  readonly lease: number
  readonly clock: Clock
  /** It has joined, or joined anew; `last` is the place of what was said last. */
  readonly onJoined: (last: string) => void
  /** It was seen which other nodes are alive. */
  readonly onSeen: (others: readonly string[]) => void
}

const NOBODY = { users: 0, streams: 0 }
/** How often a sign of life is given, in milliseconds; within a short lease four times. */
const RENEWAL = 1_000
/** How long is waited for Redis when the hub starts, and when it stops, in milliseconds. */
const PATIENCE = 2_000
/** How many users of a dead node are swept up by one script, which blocks Redis for everybody, and how often at a time. */
const SWEEP_MOST = 500
const SWEEPS = 20
/** A place that is reserved stands in Redis before the stream is here: only what goes on differing is wrong. */
const DIFFERENCES = 3

/** What `renew.lua` answers before the names. */
type Looked = [streams: number, users: number, ownStreams: number, ownUsers: number, live: number]

/**
 * What this node has written in Redis, under a name that counts as long as its lease. When the lease was over, because Redis
 * or this node was away, when it is not known what was written, or when Redis has lost its memory, it takes a new name and
 * writes everything anew.
 */
export class Membership {
  /** Under which name it is known at present. */
  name = ''
  isMember = false
  /** The other nodes that are alive, as of the last look. */
  others: readonly string[] = []
  elsewhere: { readonly users: number; readonly streams: number } = NOBODY
  readonly #options: MembershipOptions
  readonly #local: LocalNode
  readonly #news: News
  readonly #stops: (() => void)[] = []
  #renewedAt = 0
  /** How many changes there were, and how often what stands in Redis was found to differ, though there was none. */
  #noted = 0
  #differences = 0
  #isCut = false
  #hasLeft = false
  #looking: Promise<void> | undefined
  #writing: Promise<void> | undefined
  #isDue = false

  constructor(local: LocalNode, options: MembershipOptions) {
    this.#local = local
    this.#news = new News(local)
    this.#options = options
  }

  /** Fulfilled when it has joined, or that has failed for now. */
  async join(): Promise<void> {
    const { link, lease, clock } = this.#options
    this.#stops.push(clock.every(Math.min(RENEWAL, lease / 4), () => this.lookSoon()))
    await link.untilUp(PATIENCE).catch(() => {})
    this.#stops.push(link.onUp(() => this.lookSoon()))
    await this.#look()
    await this.written()
  }

  note(stream: StreamEntry, change: Change): void {
    // Who joins anew writes all that there is.
    if (!this.isMember) return
    this.#noted++
    this.#news.note(stream, change)
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.written().catch(() => {})
    })
  }

  /** Resolves when what is new has been written, or cannot be for now. */
  written(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  /** Gives a sign of life, and looks who else does. */
  lookSoon(): void {
    this.#look().catch(() => {})
  }

  async leave(): Promise<void> {
    this.#hasLeft = true
    for (const stop of this.#stops.splice(0)) stop()
    const isMember = this.isMember
    this.#forgetOthers()
    if (isMember && this.#options.link.isUp) await this.#takeLeave().catch(() => {})
  }

  run(script: LuaScript, args: readonly RedisArgument[] = []): Promise<unknown> {
    return this.#options.link.run(script, this.#options.key, [this.name, ...args])
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #lookNow(): Promise<void> {
    if (this.#hasLeft) return
    try {
      if (!this.isMember) await this.#enter()
      const dead = await this.#renew()
      this.#tell(undefined)
      for (const node of dead) await this.#sweep(node)
    } catch (error) {
      const { clock, lease } = this.#options
      if (clock.monotonic() - this.#renewedAt >= lease) this.#forgetOthers()
      this.#tell(error)
    }
    if (!this.#news.isEmpty) this.written().catch(() => {})
  }

  async #enter(): Promise<void> {
    const before = this.name
    this.name = randomText(10)
    const last = await this.run(JOIN, [String(this.#options.lease), before])
    if (this.#hasLeft) return
    this.isMember = true
    this.#news.noteAll()
    this.#options.onJoined(String(last))
  }

  /** Returns who is dead. */
  async #renew(): Promise<string[]> {
    const at = this.#options.clock.monotonic()
    const isQuiet = this.isMember && this.#news.isEmpty && this.#writing === undefined
    const noted = this.#noted
    let answer = await this.run(RENEW, [String(this.#options.lease)])
    if (answer === null && !this.#hasLeft) {
      await this.#enter()
      answer = await this.run(RENEW, [String(this.#options.lease)])
    }
    if (!Array.isArray(answer) || this.#hasLeft) return []
    const [streams, users, ownStreams, ownUsers, live, ...names] = answer as [...Looked, ...string[]]
    this.#renewedAt = at
    this.#compare(isQuiet && noted === this.#noted, ownStreams, ownUsers)
    this.elsewhere = { streams, users: Math.max(0, users) }
    this.others = names.slice(0, live)
    this.#options.onSeen(this.others)
    return names.slice(live).filter((name) => name !== this.name)
  }

  async #write(): Promise<void> {
    while (this.isMember && !this.#news.isEmpty) {
      const batch = this.#news.take()
      try {
        const isWritten = await this.run(WRITE, [String(this.#local.replaceAbove), batch.json])
        if (isWritten !== 1) this.#lapse()
      } catch (error) {
        // What may have been written, and might be written late, is left behind under the old name.
        if (error instanceof LinkError && error.wasSent) this.#lapse()
        else this.#news.putBack(batch)
        return
      }
    }
  }

  /** Nothing is said when Redis loses a part of what it was told, as a replica does that takes over; but then it shows. */
  #compare(isQuiet: boolean, streams: number, users: number): void {
    if (!isQuiet) return
    const isSame = streams === this.#local.size && users === this.#local.users
    this.#differences = isSame ? 0 : this.#differences + 1
    if (this.#differences < DIFFERENCES) return
    this.#differences = 0
    this.#lapse()
  }

  /** It has to join anew. */
  #lapse(): void {
    this.isMember = false
    this.#news.clear()
    this.lookSoon()
  }

  #forgetOthers(): void {
    this.isMember = false
    this.#news.clear()
    this.others = []
    this.elsewhere = NOBODY
  }

  async #sweep(node: string): Promise<void> {
    for (let turn = 0; turn < SWEEPS && !this.#hasLeft; turn++) {
      if ((await this.run(SWEEP, [node, String(SWEEP_MOST)])) === 0) return
    }
  }

  async #takeLeave(): Promise<void> {
    const until = performance.now() + PATIENCE
    while (performance.now() < until && (await this.run(SWEEP, [this.name, String(SWEEP_MOST)])) !== 0) {}
  }

  /** Once when it begins, and once when it is over. */
  #tell(error: unknown): void {
    const isCut = error !== undefined
    if (isCut === this.#isCut || this.#hasLeft) return
    this.#isCut = isCut
    if (isCut) this.#local.logger.warn({ err: error }, 'the other nodes cannot be reached; this one goes on by itself')
    else this.#local.logger.warn({}, 'the other nodes can be reached again')
  }
}
