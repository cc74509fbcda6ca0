import { type Clock, systemClock } from '../../clock.ts'
import { ClusterUnavailableError, InvalidOptionError } from '../../errors.ts'
import type { Channel } from '../../events/channel.ts'
import { compareNames } from '../../events/utf8-order.ts'
import { wholeNumber } from '../../option-checks.ts'
import { randomText } from '../../random.ts'
import { LinkError, type LuaScript, type RedisArgument, type RedisLink } from '../../redis/link.ts'
import type { CloseCommand, Cluster, LocalNode, StreamEntry } from '../cluster.ts'
import type { TopicCommand } from '../topic-command.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { ANSWER, ARE_ONLINE, COMMAND, COUNT, OF_USER, RESERVE, ROLE, USERS } from './cluster-scripts.ts'
import { CommandStream, type NodeCommand } from './command-stream.ts'
import { Counts } from './counts.ts'
import { Membership } from './membership.ts'
import { parseText, textOf } from './presence-changes.ts'

export interface RedisClusterOptions {
  /** The connection to Redis. It may be the event log's, and is not closed with the cluster. */
  readonly link: RedisLink
  /**
   * How long a node counts after its last renewal, in milliseconds, 500 to 600,000: the max. time that a crashed node still
   * counts, and that the event loop of a live one may be blocked.
   * @default 10_000
   */
  readonly lease?: number | undefined
  readonly clock?: Clock | undefined
}

/** A reservation of a stream in Redis. */
interface Reservation {
  /** The caller no longer waits for the answer. */
  isLate: boolean
  /** The reservation was released. */
  isReleased: boolean
}

const NONE = { users: 0, streams: 0 }
/** How long `close()` and `reserve()` wait for others, in milliseconds. */
const CLOSE_WITHIN = 2_000
const RESERVE_WITHIN = 1_000
type TopicsMessage = Extract<NodeCommand, { readonly topics: TopicCommand }>

/** How long a change of topics waits for others: their hosts have five seconds to answer. */
const TOPICS_WITHIN = 7_000

/** Joins the nodes of a hub through Redis: each writes its streams, and queries those of the others with one script each. */
export class RedisCluster implements Cluster {
  readonly #link: RedisLink
  readonly #key: string
  readonly #lease: number
  readonly #clock: Clock
  readonly #acknowledgements: Acknowledgements
  readonly #counts: Counts
  /** Identifies this node's own commands and roles, also when it has joined anew. */
  readonly #self = randomText(10)
  readonly #reservations = new Map<string, Reservation>()
  #local: LocalNode | undefined
  #membership: Membership | undefined
  #commands: CommandStream | undefined

  /** @throws {InvalidOptionError} */
  constructor({ link, lease = 10_000, clock = systemClock }: RedisClusterOptions) {
    this.#link = link
    this.#key = link.key('nodes')
    this.#lease = wholeNumber('lease', lease, 500, 600_000)
    this.#clock = clock
    this.#acknowledgements = new Acknowledgements(clock)
    this.#counts = new Counts((targets, except) => {
      const args = [JSON.stringify(targets), except === undefined ? '' : JSON.stringify(except)]
      return this.#query(COUNT, args) as Promise<number[]>
    })
  }

  get isSingleNode(): boolean {
    return this.isSettled && this.#membership?.others.length === 0
  }

  get isSettled(): boolean {
    return this.#membership?.isSettled === true
  }

  get elsewhere(): { readonly users: number; readonly streams: number } {
    return this.#membership?.elsewhere ?? NONE
  }

  get membership(): { readonly nodes: number; readonly leaseAge: number } {
    const { others = [], leaseAge = 0 } = this.#membership ?? {}
    return { nodes: others.length + 1, leaseAge }
  }

  async join(local: LocalNode): Promise<void> {
    if (this.#membership !== undefined)
      throw new InvalidOptionError('cluster', 'belongs to one hub; create one for each hub')
    this.#local = local
    const commands = new CommandStream(this.#link, this.#key, (command, age) => this.#receive(command, age))
    this.#commands = commands
    this.#membership = new Membership(local, {
      link: this.#link,
      key: this.#key,
      lease: this.#lease,
      clock: this.#clock,
      onJoined: (last) => commands.begin(last),
      onLiveNodes: (others) => this.#acknowledgements.retainLive(others)
    })
    await this.#membership.join()
  }

  opened(stream: StreamEntry): void {
    this.#membership?.note(stream, 'opened')
  }

  changed(stream: StreamEntry, former: readonly string[]): void {
    this.#membership?.note(stream, 'present', 0, former)
  }

  closed(stream: StreamEntry, absence: number): void {
    const reservation = this.#reservations.get(stream.id)
    if (reservation !== undefined) reservation.isReleased = true
    this.#membership?.note(stream, 'closed', absence)
  }

  async reserve(stream: StreamEntry, limit: number): Promise<boolean> {
    const reservation = { isLate: false, isReleased: false }
    this.#reservations.set(stream.id, reservation)
    const requesting = this.#requestReservation(stream, limit, reservation).finally(() => {
      this.#reservations.delete(stream.id)
      // The reservation may have been made only after its release.
      const { presenceGrace = 0 } = this.#local ?? {}
      if (reservation.isReleased) this.#membership?.note(stream, 'closed', presenceGrace)
    })
    try {
      return await this.#inTime(requesting, RESERVE_WITHIN)
    } catch {
      // In doubt the stream is accepted. The membership logs that the cluster cannot be reached.
      reservation.isLate = true
      return true
    }
  }

  async #requestReservation(stream: StreamEntry, limit: number, reservation: Reservation): Promise<boolean> {
    const membership = this.#joined()
    if (!membership.isMember) throw new ClusterUnavailableError('this node joins the cluster anew')
    // Streams that were just closed here no longer count against the limit.
    await membership.written()
    if (reservation.isLate) throw new ClusterUnavailableError('the reservation took too long')
    const args = [String(limit), stream.user as string, textOf(stream), String(stream.since)]
    try {
      return (await membership.run(RESERVE, args)) !== 0
    } catch (error) {
      // The reservation may still be made under the current name, at any time.
      if (error instanceof LinkError && error.wasSent) membership.expire()
      throw error
    }
  }

  countListeners(
    targets: readonly (readonly Channel[])[],
    except?: readonly (readonly string[])[]
  ): Promise<readonly number[]> {
    return this.#counts.count(targets, except)
  }

  async countOfUser(user: string): Promise<number> {
    return (await this.#query(OF_USER, [user, '1'])) as number
  }

  async areOnline(users: readonly string[]): Promise<readonly boolean[]> {
    if (users.length === 0) return []
    const found = (await this.#query(ARE_ONLINE, [JSON.stringify(users)])) as number[]
    return found.map((isOnline) => isOnline === 1)
  }

  async ofUser(user: string): Promise<Pick<StreamEntry, 'id' | 'since' | 'topics'>[]> {
    const found = (await this.#query(OF_USER, [user, '0'])) as string[]
    const streams = []
    for (let at = 0; at < found.length; at += 2) {
      streams.push({ ...parseText(found[at] as string), since: Number(found[at + 1]) })
    }
    return streams
  }

  async users(after: string, limit: number): Promise<{ user: string; streams: number }[]> {
    const found = (await this.#query(USERS, [after, String(limit)])) as (string | number)[]
    const counts = new Map<string, number>()
    for (let at = 0; at < found.length; at += 2) {
      const user = found[at] as string
      counts.set(user, (counts.get(user) ?? 0) + Number(found[at + 1]))
    }
    const users = Array.from(counts, ([user, streams]) => ({ user, streams }))
    return users.sort((one, other) => compareNames(one.user, other.user)).slice(0, limit)
  }

  async close(command: CloseCommand): Promise<number> {
    const id = randomText(12)
    const message: NodeCommand = { command, from: this.#self, id }
    const send = async () => (await this.#query(COMMAND, [JSON.stringify(message)])) as string[]
    return this.#acknowledgements.gather(id, CLOSE_WITHIN, send)
  }

  async changeTopics(topics: TopicCommand): Promise<number> {
    if (this.isSingleNode) return 0
    const id = randomText(12)
    const message: NodeCommand = { topics, from: this.#self, id }
    const send = async () => (await this.#query(COMMAND, [JSON.stringify(message)])) as string[]
    return this.#acknowledgements.gather(id, TOPICS_WITHIN, send, true)
  }

  async hold(role: string): Promise<number> {
    try {
      const isHeld = (await this.#link.run(ROLE, this.#key, [this.#self, role, String(this.#lease)])) === 1
      return isHeld ? this.#lease : 0
    } catch (error) {
      throw new ClusterUnavailableError((error as Error).message)
    }
  }

  async release(role: string): Promise<void> {
    // If Redis cannot be reached, the role ends with its lease. The membership logs the outage.
    await this.#link.run(ROLE, this.#key, [this.#self, role, '0']).catch(() => undefined)
  }

  async leave(): Promise<void> {
    this.#commands?.close()
    await this.#membership?.leave()
  }

  #receive(command: NodeCommand, age: number): void {
    if ('joined' in command || 'look' in command) this.#membership?.refreshSoon()
    else if ('answer' in command) this.#acknowledgements.take(command.answer, command.node, command.closed)
    else if ('topics' in command) void this.#changeTopics(command, age)
    else if (command.from !== this.#self) this.#execute(command.command, age, command.id)
  }

  #execute(command: CloseCommand, age: number, id: string | undefined): void {
    const closed = (this.#local as LocalNode).close(command, age)
    if (id !== undefined) this.#answer(id, closed)
  }

  async #changeTopics({ topics, from, id }: TopicsMessage, age: number): Promise<void> {
    if (from !== this.#self) this.#answer(id, await (this.#local as LocalNode).changeTopics(topics, age))
  }

  #answer(id: string, closed: number): void {
    const { name = '' } = this.#membership ?? {}
    // The command was executed; without the answer its sender counts too few. The membership logs that Redis is down.
    this.#query(ANSWER, [JSON.stringify({ answer: id, node: name, closed })]).catch(() => undefined)
  }

  async #query(script: LuaScript, args: readonly RedisArgument[]): Promise<unknown> {
    const membership = this.#joined()
    try {
      return await membership.query(script, args)
    } catch (error) {
      throw new ClusterUnavailableError((error as Error).message)
    }
  }

  /** @throws {ClusterUnavailableError} */
  #joined(): Membership {
    const membership = this.#membership
    if (membership?.canQuery === true) return membership
    throw new ClusterUnavailableError(this.#link.problem || 'this node has not joined the cluster yet')
  }

  async #inTime<Answer>(answer: Promise<Answer>, milliseconds: number): Promise<Answer> {
    let stop: (() => void) | undefined
    const late = new Promise<never>((_resolve, reject) => {
      stop = this.#clock.every(milliseconds, () => reject(new ClusterUnavailableError('no answer in time')))
    })
    try {
      return await Promise.race([answer, late])
    } finally {
      stop?.()
    }
  }
}
