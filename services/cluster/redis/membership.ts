import type { Clock } from '../../clock.ts'
import { randomText } from '../../random.ts'
import { LinkError, type LuaScript, type RedisArgument, type RedisLink, RedisReplyError } from '../../redis/link.ts'
import type { LocalNode, StreamEntry } from '../cluster.ts'
import { BEGIN, JOIN, RENEW, REPLACE, WRITE } from './cluster-scripts.ts'
import { Replacing, type SuspectEntry } from './node-replacement.ts'
import { announceLeave, sweepNode } from './node-sweep.ts'
import { type Batch, type Change, PresenceChanges } from './presence-changes.ts'

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
/** So many names are given up at most before one attempt to join succeeds that are remembered. */
const FORMER = 50
/** A place that is reserved stands in Redis before the stream is here: only what goes on differing is wrong. */
const DIFFERENCES = 3

/** What `renew.lua` answers before the names. */
type Looked = [streams: number, users: number, ownStreams: number, ownUsers: number, live: number]

/**
 * What this node has written in Redis, under a name that counts as long as its lease. When the lease was over, because Redis
 * or this node was away, when it is not known what was written, or when Redis has lost its memory, the node takes a new name.
 * It writes everything under the new name first, and then lets that name count instead of the former one, in one step.
 */
export class Membership {
  /** Under which name it writes. */
  name = ''
  isMember = false
  /** The other nodes that are alive, as of the last look. */
  others: readonly string[] = []
  elsewhere: { readonly users: number; readonly streams: number } = NOBODY
  readonly #options: MembershipOptions
  readonly #local: LocalNode
  readonly #changes: PresenceChanges
  readonly #replacing: Replacing
  readonly #stops: (() => void)[] = []
  /** It writes under a name that does not count yet. */
  #isJoining = false
  /** The names that count in Redis, or may. */
  #former: string[] = []
  /** How many other nodes there were before this one had to join anew, and until when they are waited for. */
  #missing = { count: 0, until: 0 }
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
    this.#changes = new PresenceChanges(local)
    this.#options = options
    this.#replacing = new Replacing({
      clock: options.clock,
      replace: (users, mayAsk) => this.#replace(users, mayAsk)
    })
  }

  /** Whether the other nodes can be asked, if Redis can. */
  get canAsk(): boolean {
    return this.isMember || this.#isJoining
  }

  /** Whether it is known which other nodes there are: none of those that were there before an outage is missing. */
  get isSettled(): boolean {
    return this.isMember && this.#missing.count === 0
  }

  /** Fulfilled when it has joined, or that has failed for now. */
  async join(): Promise<void> {
    const { link, lease, clock } = this.#options
    this.#stops.push(clock.every(Math.min(RENEWAL, lease / 4), () => this.lookSoon()))
    // A Redis that is away is no error: the look that follows says so.
    await link.untilUp(PATIENCE).catch(() => undefined)
    this.#stops.push(link.onUp(() => this.lookSoon()))
    await this.#look()
    await this.written()
  }

  note(stream: StreamEntry, change: Change): void {
    // A node that is going to join writes all that there is.
    if (!this.isMember && !this.#isJoining) return
    this.#noted++
    this.#changes.note(stream, change)
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      void this.written()
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
    void this.#look()
  }

  async leave(): Promise<void> {
    this.#hasLeft = true
    for (const stop of this.#stops.splice(0)) stop()
    this.#replacing.close()
    const hasName = this.isMember || this.#isJoining
    this.#forgetOthers()
    if (!hasName || !this.#options.link.isUp) return
    const names = [...this.#former, this.name]
    await announceLeave(this.#options, names, PATIENCE).catch((error: unknown) => {
      const message = 'this node could not take leave of the others; they count it until its lease ends'
      this.#local.logger.warn({ err: error }, message)
    })
  }

  /** It is not known what a command has written under the present name: takes another one. */
  expire(): void {
    this.isMember = false
    this.#changes.clear()
    this.lookSoon()
  }

  run(script: LuaScript, args: readonly RedisArgument[] = []): Promise<unknown> {
    return this.#options.link.run(script, this.#options.key, [this.name, ...args])
  }

  /** As `run`, as the name that counts: while the node joins anew, its own former streams are not those of another. */
  ask(script: LuaScript, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#options.link.run(script, this.#options.key, [this.#former.at(-1) ?? this.name, ...args])
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Never rejects. */
  async #lookNow(): Promise<void> {
    if (this.#hasLeft) return
    try {
      let dead: string[]
      do {
        if (this.isMember) await this.written()
        if (!this.isMember) await this.#enter()
        dead = await this.#renew()
        // The name may have lapsed meanwhile.
      } while (!this.isMember && !this.#hasLeft)
      this.#tell(undefined)
      for (const node of dead) if (!this.#hasLeft) await sweepNode(this.#options, this.name, node)
    } catch (error) {
      const { clock, lease } = this.#options
      if (clock.monotonic() - this.#renewedAt >= lease) this.#forgetOthers()
      this.#tell(error)
    }
    if (!this.#changes.isEmpty) void this.written()
  }

  async #enter(): Promise<void> {
    const { lease, clock, onJoined } = this.#options
    this.#miss(clock.monotonic() + lease)
    this.name = randomText(10)
    this.#isJoining = true
    this.#changes.noteAll()
    try {
      const last = await this.run(BEGIN, [String(lease)])
      while (!this.#changes.isEmpty) await this.#writeBatch(this.#changes.take())
      const former = JSON.stringify(this.#former)
      // From here on the name may count, whatever the answer.
      this.#former = [...this.#former, this.name].slice(-FORMER)
      if ((await this.run(JOIN, [String(lease), former])) !== 1)
        throw new Error('it took too long to write what there is')
      this.#former = [this.name]
      this.isMember = !this.#hasLeft
      if (this.isMember) onJoined(String(last))
    } finally {
      this.#isJoining = false
      if (!this.isMember) this.#changes.clear()
    }
  }

  /** Returns who is dead. */
  async #renew(): Promise<string[]> {
    const { clock, lease } = this.#options
    const at = clock.monotonic()
    const isQuiet = this.isMember && this.#changes.isEmpty && this.#writing === undefined
    const noted = this.#noted
    let answer = await this.run(RENEW, [String(lease), isQuiet ? '1' : ''])
    if (answer === null && !this.#hasLeft) {
      this.isMember = false
      await this.#enter()
      answer = await this.run(RENEW, [String(lease), ''])
    }
    if (!Array.isArray(answer) || this.#hasLeft) return []
    const [streams, users, ownStreams, ownUsers, live, ...names] = answer as [...Looked, ...string[]]
    this.#renewedAt = at
    this.#compare(isQuiet && noted === this.#noted, ownStreams, ownUsers)
    this.elsewhere = { streams, users: Math.max(0, users) }
    this.others = names.slice(0, live)
    if (live >= this.#missing.count || clock.monotonic() >= this.#missing.until) this.#missing = { count: 0, until: 0 }
    this.#options.onSeen(this.others)
    return names.slice(live).filter((name) => name !== this.name)
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    while (this.isMember && !this.#changes.isEmpty) {
      const batch = this.#changes.take()
      try {
        await this.#writeBatch(batch)
      } catch (error) {
        // What may have been written, and might be written late, is left behind under the former name.
        if (!(error instanceof LinkError) && !(error instanceof RedisReplyError)) this.expire()
        else if (error instanceof LinkError && error.wasSent) this.expire()
        else this.#changes.putBack(batch)
        return
      }
    }
  }

  /** @throws when it was not written, or that is not known. */
  async #writeBatch(batch: Batch): Promise<void> {
    const answer = await this.run(WRITE, [String(this.#local.replaceAbove), batch.json])
    if (!Array.isArray(answer)) throw new Error('the lease is over')
    const [now, ...users] = answer as [number, ...string[]]
    this.#replacing.suspect(users, batch.opened, now)
  }

  /** Never rejects. */
  async #replace(users: readonly SuspectEntry[], mayAsk: boolean): Promise<string[] | undefined> {
    if (!this.isMember) return undefined
    const args = [String(this.#local.replaceAbove), JSON.stringify(users), mayAsk ? '1' : '']
    try {
      const answer = await this.run(REPLACE, args)
      return Array.isArray(answer) ? answer.map(String) : undefined
    } catch {
      // It is tried again; that Redis cannot be asked is logged by the next look.
      return undefined
    }
  }

  /** Nothing is said when Redis loses a part of what it was told, as a replica does that takes over; but then it shows. */
  #compare(isQuiet: boolean, streams: number, users: number): void {
    if (!isQuiet) return
    const isSame = streams === this.#local.size && users === this.#local.users
    this.#differences = isSame ? 0 : this.#differences + 1
    if (this.#differences < DIFFERENCES) return
    this.#differences = 0
    this.expire()
  }

  /** Takes the other nodes that are known for missing, until they are seen again or it is too late. */
  #miss(until: number): void {
    this.#missing = { count: Math.max(this.#missing.count, this.others.length), until }
  }

  #forgetOthers(): void {
    this.#miss(Number.POSITIVE_INFINITY)
    this.isMember = false
    this.#changes.clear()
    this.others = []
    this.elsewhere = NOBODY
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
