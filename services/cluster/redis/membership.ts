import type { Clock } from '../../clock.ts'
import { randomText } from '../../random.ts'
import { LinkError, type LuaScript, type RedisArgument, type RedisLink, RedisReplyError } from '../../redis/link.ts'
import type { LocalNode, StreamEntry } from '../cluster.ts'
import { BEGIN, CLAIM, JOIN, RENEW, REPLACE, WRITE } from './cluster-scripts.ts'
import { Replacing, type SuspectEntry } from './node-replacement.ts'
import { announceLeave, sweepNode } from './node-sweep.ts'
import { type Batch, type Change, PresenceChanges } from './presence-changes.ts'
import { PresenceReports } from './presence-reports.ts'

export interface MembershipOptions {
  readonly link: RedisLink
  /** The key of the leases, and prefix of all other keys. */
  readonly key: string
  /** In milliseconds. */
  readonly lease: number
  readonly clock: Clock
  /** The node has joined, or joined anew; `last` is the id of the last message of the command stream. */
  readonly onJoined: (last: string) => void
  /** The set of live other nodes was read. */
  readonly onLiveNodes: (others: readonly string[]) => void
}

const NONE = { users: 0, streams: 0 }
/** How often the lease is renewed, in milliseconds; a short lease is renewed four times. */
const RENEWAL = 1_000
/** How long the hub waits for Redis at the start, and at the stop, in milliseconds. */
const REDIS_TIMEOUT = 2_000
/** Max. number of former names that are remembered until an attempt to join succeeds. */
const MAX_FORMER = 50
/** Number of consecutive differences after which the node joins anew: a reservation is in Redis before its stream is here. */
const MAX_DIFFERENCES = 3

/** The reply of `renew.lua` before the names. */
type RenewReply = [streams: number, users: number, ownStreams: number, ownUsers: number, live: number]

/**
 * This node's entry in Redis, under a name that counts until its lease expires. The node takes a new name when its lease has
 * expired, when it is unknown what was written, or when Redis has lost data. It first writes everything under the new name,
 * which then replaces the former one atomically.
 */
export class Membership {
  /** The name under which it writes. */
  name = ''
  isMember = false
  /** The other live nodes, as of the last refresh. */
  others: readonly string[] = []
  elsewhere: { readonly users: number; readonly streams: number } = NONE
  readonly #options: MembershipOptions
  readonly #local: LocalNode
  readonly #changes: PresenceChanges
  readonly #replacing: Replacing
  readonly #reports: PresenceReports
  readonly #stops: (() => void)[] = []
  /** It writes under a name that does not count yet. */
  #isJoining = false
  /** The names that count in Redis, or may. */
  #former: string[] = []
  /** Number of other nodes before this one had to join anew, and until when it waits for them. */
  #missing = { count: 0, until: 0 }
  /** Of the data in Redis: it changes when Redis has lost them. */
  #life: string | undefined
  #isLost = false
  #renewedAt = 0
  /** Number of changes, and of consecutive differences between Redis and this node without changes in flight. */
  #noted = 0
  #differences = 0
  #isDisconnected = false
  #hasLeft = false
  #refreshing: Promise<void> | undefined
  #writing: Promise<void> | undefined
  #isDue = false

  constructor(local: LocalNode, options: MembershipOptions) {
    this.#local = local
    this.#changes = new PresenceChanges(local)
    this.#options = options
    this.#replacing = new Replacing({
      clock: options.clock,
      replace: (users, mayRequest) => this.#replace(users, mayRequest)
    })
    const { clock, lease } = options
    this.#reports = new PresenceReports({
      local,
      clock,
      // While a node is missing, its users are not known to be offline.
      claim: async (args) => (this.isSettled ? this.run(CLAIM, [...args, String(lease)]) : undefined)
    })
  }

  /** Whether this node can query the others, if Redis is up. */
  get canQuery(): boolean {
    return this.isMember || this.#isJoining
  }

  /** The time since the lease was renewed, in milliseconds; 0 before the first time. */
  get leaseAge(): number {
    return this.#renewedAt === 0 ? 0 : this.#options.clock.monotonic() - this.#renewedAt
  }

  /** Whether the set of nodes is known: no node from before an outage is missing. */
  get isSettled(): boolean {
    return this.isMember && this.#missing.count === 0
  }

  /** Fulfilled when it has joined, or has failed for now. */
  async join(): Promise<void> {
    const { link, lease, clock } = this.#options
    this.#stops.push(clock.every(Math.min(RENEWAL, lease / 4), () => this.refreshSoon()))
    // A Redis that is down is not an error here: the next refresh logs it.
    await link.untilUp(REDIS_TIMEOUT).catch(() => undefined)
    this.#stops.push(link.onUp(() => this.refreshSoon()))
    await this.#refresh()
    await this.written()
  }

  /** @param former the topics that the stream had before, if they have changed. */
  note(stream: StreamEntry, change: Change, absence = 0, former?: readonly string[]): void {
    this.#changes.noteUser(stream, change, absence)
    // A node that is about to join writes all its streams.
    if (!this.isMember && !this.#isJoining) return
    this.#noted++
    this.#changes.note(stream, change, absence, former)
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      void this.written()
    })
  }

  /** Resolves when all changes have been written, or cannot be for now. */
  written(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  /** Renews the lease, and reads which other nodes are alive. */
  refreshSoon(): void {
    void this.#refresh()
  }

  async leave(): Promise<void> {
    this.#hasLeft = true
    for (const stop of this.#stops.splice(0)) stop()
    this.#replacing.close()
    const hasName = this.isMember || this.#isJoining
    this.#forgetOthers()
    await this.#reports.close()
    if (!hasName || !this.#options.link.isUp) return
    const names = [...this.#former, this.name]
    await announceLeave(this.#options, names, this.#local.drainGrace, REDIS_TIMEOUT).catch((error: unknown) => {
      const message = 'this node could not leave the cluster; the other nodes count it until its lease expires'
      this.#local.logger.warn({ err: error }, message)
    })
  }

  /** Takes another name, because it is unknown what a command has written under the current one. */
  expire(): void {
    this.isMember = false
    this.#changes.clear()
    this.refreshSoon()
  }

  run(script: LuaScript, args: readonly RedisArgument[] = []): Promise<unknown> {
    return this.#options.link.run(script, this.#options.key, [this.name, ...args])
  }

  /** Like `run`, under the name that counts: while the node joins anew, its former streams do not count as another node's. */
  query(script: LuaScript, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#options.link.run(script, this.#options.key, [this.#former.at(-1) ?? this.name, ...args])
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshNow().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** Never rejects. */
  async #refreshNow(): Promise<void> {
    if (this.#hasLeft) return
    try {
      let dead: string[]
      do {
        if (this.isMember) await this.written()
        // A node that has left meanwhile must not join anew.
        if (this.#hasLeft) return
        if (!this.isMember) await this.#enter()
        dead = await this.#renew()
        // The lease may have expired meanwhile.
      } while (!this.isMember && !this.#hasLeft)
      this.#log(undefined)
      const { presenceGrace } = this.#local
      for (const node of dead) if (!this.#hasLeft) await sweepNode(this.#options, this.name, node, presenceGrace)
      await this.#reports.take()
    } catch (error) {
      const { clock, lease } = this.#options
      if (clock.monotonic() - this.#renewedAt >= lease) this.#forgetOthers()
      this.#log(error)
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
      const [last, life] = (await this.run(BEGIN, [String(lease)])) as [string, string]
      this.#isLost = this.#life !== undefined && this.#life !== life
      while (!this.#changes.isEmpty) await this.#writeBatch(this.#changes.take())
      const former = JSON.stringify(this.#former)
      const gone = JSON.stringify(this.#isLost ? this.#changes.users.gone : [])
      // From here on the name may count, even if the call fails.
      this.#former = [...this.#former, this.name].slice(-MAX_FORMER)
      if ((await this.run(JOIN, [String(lease), former, gone])) !== 1)
        throw new Error('writing all streams took too long')
      this.#former = [this.name]
      this.#life = life
      this.#changes.users.clear()
      this.isMember = !this.#hasLeft
      if (this.isMember) onJoined(String(last))
    } finally {
      this.#isJoining = false
      this.#isLost = false
      if (!this.isMember) this.#changes.clear()
    }
  }

  /** Returns the dead nodes. */
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
    const [streams, users, ownStreams, ownUsers, live, ...names] = answer as [...RenewReply, ...string[]]
    this.#renewedAt = at
    this.#compare(isQuiet && noted === this.#noted, ownStreams, ownUsers)
    this.elsewhere = { streams, users: Math.max(0, users) }
    this.others = names.slice(0, live)
    if (live >= this.#missing.count || clock.monotonic() >= this.#missing.until) this.#missing = { count: 0, until: 0 }
    this.#options.onLiveNodes(this.others)
    return names.slice(live).filter((name) => name !== this.name)
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    while (this.isMember && !this.#changes.isEmpty) {
      const batch = this.#changes.take()
      try {
        await this.#writeBatch(batch)
      } catch (error) {
        // Changes that may have been written, or may be written late, stay under the former name.
        if (!(error instanceof LinkError) && !(error instanceof RedisReplyError)) this.expire()
        else if (error instanceof LinkError && error.wasSent) this.expire()
        else this.#changes.putBack(batch)
        return
      }
    }
  }

  /** @throws when the batch was not written, or that is unknown. */
  async #writeBatch(batch: Batch): Promise<void> {
    const answer = await this.run(WRITE, [String(this.#local.replaceAbove), batch.json, this.#isLost ? '1' : ''])
    if (!Array.isArray(answer)) throw new Error('the lease has expired')
    const [now, arrived, ...users] = answer as [number, number, ...string[]]
    this.#changes.written(batch)
    if (arrived > 0) this.#reports.takeSoon()
    this.#replacing.suspect(users, batch.opened, now)
  }

  /** Never rejects. */
  async #replace(users: readonly SuspectEntry[], mayRequest: boolean): Promise<string[] | undefined> {
    if (!this.isMember) return undefined
    const args = [String(this.#local.replaceAbove), JSON.stringify(users), mayRequest ? '1' : '']
    try {
      const answer = await this.run(REPLACE, args)
      return Array.isArray(answer) ? answer.map(String) : undefined
    } catch {
      // The caller retries; the next refresh logs that Redis is down.
      return undefined
    }
  }

  /** Detects a Redis that has silently lost writes, like a replica after a failover. */
  #compare(isQuiet: boolean, streams: number, users: number): void {
    if (!isQuiet) return
    const isSame = streams === this.#local.size && users === this.#local.users
    this.#differences = isSame ? 0 : this.#differences + 1
    if (this.#differences < MAX_DIFFERENCES) return
    this.#differences = 0
    this.expire()
  }

  /** Marks the known other nodes as missing, until they are live again or the time is over. */
  #miss(until: number): void {
    this.#missing = { count: Math.max(this.#missing.count, this.others.length), until }
  }

  #forgetOthers(): void {
    this.#miss(Number.POSITIVE_INFINITY)
    this.isMember = false
    this.#changes.clear()
    this.others = []
    this.elsewhere = NONE
  }

  /** Logs the begin and the end of an outage once each. */
  #log(error: unknown): void {
    const isDisconnected = error !== undefined
    if (isDisconnected === this.#isDisconnected || this.#hasLeft) return
    this.#isDisconnected = isDisconnected
    if (isDisconnected)
      this.#local.logger.warn({ err: error }, 'the other nodes cannot be reached; this node continues alone')
    else this.#local.logger.warn({}, 'the other nodes can be reached again')
  }
}
