import type { Clock } from '../../clock.ts'
import { HubClosedError } from '../../errors.ts'
import type { LogEvent, NewEvent } from '../../events/log-event.ts'
import type { LatencyHistogram } from '../../latency-histogram.ts'
import { LinkError, type LuaScript, type OnMissing, type RedisArgument, type RedisLink } from '../../redis/link.ts'
import type {
  EventLog,
  HealthCheck,
  LogStats,
  MeasuredConnection,
  ReadQuery,
  ReadResult,
  Receipt,
  Tail,
  TailListener
} from '../event-log.ts'
import { lifetimeOf, type Retention } from '../retention.ts'
import { Appender, candidate, unreadable } from './appender.ts'
import { DispatchedEvents } from './dispatched-events.ts'
import { APPEND, JOIN, LEAVE, POSITION, READ, REGISTER } from './log-scripts.ts'
import { type LogState, readState } from './log-state.ts'
import { ALL, NodeInterest } from './node-interest.ts'
import { cursorIn, cutAt, queryArgs, readPage } from './read-page.ts'
import { RecentEvents } from './redis-recent-events.ts'
import { BLOCK, RedisTail } from './redis-tail.ts'
import { StoreTime } from './store-time.ts'
import { Turnstile } from './turnstile.ts'

/** Max. number of reads in flight, and so before an append in Redis's queue. Each is small: see read.lua. */
const READS = 4
/** How long `close` waits for accepted appends, in milliseconds. */
const GRACE = 1_000
/** How long the first tail waits for Redis, in milliseconds. */
const START = 5_000

export interface RedisLogParts {
  readonly link: RedisLink
  readonly retention: Retention
  readonly idempotencyWindow: number
  /** Bytes that the tails of all nodes keep for nodes that lost their connection. */
  readonly tailBytes: number
  /** Bytes of recent events that this process keeps. */
  readonly recentBytes: number
  readonly clock: Clock
  /** Whether the time is that of this process instead of the server's. */
  readonly isOwnTime: boolean
  /** Reports a fault that does not stop the log. */
  readonly onFault: (error: unknown, what: string) => void
  /** Whether tails may open while Redis is down: they begin with a discontinuity when it is up. */
  readonly startDegraded: boolean
}

interface OpenTail {
  readonly listener: TailListener
}

const NONE = ''

/** The event log in Redis: many nodes, one hub. */
export class RedisLog implements EventLog, HealthCheck, MeasuredConnection {
  readonly #parts: RedisLogParts
  readonly #link: RedisLink
  readonly #recent: RecentEvents
  readonly #dispatchedEvents = new DispatchedEvents()
  readonly #time: StoreTime
  readonly #appender: Appender
  readonly #interest: NodeInterest
  readonly #tail: RedisTail
  readonly #reads = new Turnstile(READS)
  readonly #tails = new Set<OpenTail>()
  readonly #removed = { evicted: 0, expired: 0 }
  #stats: LogStats = { kind: 'redis', events: 0, bytes: 0, channels: 0, head: 0, hasInboxes: false }
  #isClosed = false
  #closing: Promise<void> | undefined

  constructor(parts: RedisLogParts) {
    this.#parts = parts
    this.#link = parts.link
    const { link, retention, recentBytes, clock } = parts
    this.#time = new StoreTime(clock)
    this.#recent = new RecentEvents({ bytes: recentBytes, age: retention.age, clock, storeTime: this.#time })
    this.#appender = new Appender({
      run: ({ nonce, batches, texts }, onMissing) =>
        this.#run(link, APPEND, [...this.#bounds(nonce), batches, ...texts], onMissing),
      observe: (state) => this.#observe(state),
      problem: () => link.problem,
      lifetimeOf: (event) => lifetimeOf(event, retention)
    })
    this.#interest = new NodeInterest({
      clock,
      isUp: () => link.isUp,
      register: async ({ before, name, added, ended }) => {
        const changes = JSON.stringify([added, ended])
        const args = [`${before} ${name}`, String(retention.bytes), changes]
        const state = this.#observe(await this.#run(link, REGISTER, args))
        return { outcome: Number(state.rest[0]), head: state.head, tail: state.tail.id }
      },
      onGone: (tail) => {
        if (tail === this.#tail.id) this.#tail.renew('interests')
      },
      onLate: (channels) => this.#notify((listener) => listener.onLate?.(channels))
    })
    const blocking = link.duplicate({ blocking: BLOCK })
    this.#tail = new RedisTail({
      link: blocking,
      recent: this.#recent,
      storeTime: this.#time,
      interest: this.#interest,
      where: (tail, read) => this.#runBlocking(blocking, POSITION, [String(read)], tail),
      join: (former, tail, name, isAll) =>
        this.#runBlocking(blocking, JOIN, [former, tail, name, isAll ? '1' : '0'], NONE),
      now: () => clock.monotonic(),
      onEvents: (events) => this.#dispatch(events),
      onHead: (head) => {
        this.#dispatchedEvents.dispatched(head)
        this.#notify((listener) => listener.onHead?.(head))
      },
      onDiscontinuity: (position) => {
        this.#notify((listener) => listener.onDiscontinuity(position))
      },
      onFault: parts.onFault
    })
    // A store that is back may have lost its tail: this node checks at once. If that fails, the next call checks as well.
    link.onUp(() => {
      this.#interest.retry()
      void this.#run(link, POSITION, [NONE]).then(
        (state) => this.#observe(state),
        () => undefined
      )
    })
  }

  append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    return this.#appender.append(events)
  }

  read(query: ReadQuery): ReadResult | Promise<ReadResult> {
    return this.#readRecent(query) ?? this.#query(query)
  }

  #readRecent(query: ReadQuery): ReadResult | undefined {
    const { channels, isTailed } = query
    const from = cursorIn(query.from)
    if (isTailed !== true || !this.#tail.isStarted || from === undefined) return undefined
    // A stream that opens while Redis is down waits at the head of the tail for the registration of its interest.
    const waits = !this.#link.isUp && from.seq === this.#recent.head.seq
    return waits || this.#interest.isComplete(channels, from.seq) ? this.#recent.read(query) : undefined
  }

  async tail(listener: TailListener, { byInterest = false }: { byInterest?: boolean | undefined } = {}): Promise<Tail> {
    if (this.#isClosed) throw new HubClosedError()
    const registered = byInterest ? undefined : this.#interest.add([ALL])
    try {
      if (this.#parts.startDegraded && !this.#link.isUp) this.#tail.startLater()
      else await this.#tail.start()
      await registered
      if (!byInterest && this.#tail.isStarted) await this.#tail.reached(this.#interest.allSince)
    } catch (error) {
      if (!byInterest) this.#interest.delete([ALL])
      throw this.#isClosed ? new HubClosedError() : unreadable(error)
    }
    if (this.#isClosed) throw new HubClosedError()
    const tail = { listener }
    this.#tails.add(tail)
    const stop = async () => {
      if (this.#tails.delete(tail) && !byInterest) this.#interest.delete([ALL])
    }
    const position = this.#tail.isStarted ? this.#recent.head : undefined
    return { position, interest: byInterest ? this.#interest : undefined, stop }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get roundTrips(): LatencyHistogram {
    return this.#link.roundTrips
  }

  stats(): LogStats {
    const { isUp, roundTrip } = this.#link
    return {
      ...this.#stats,
      head: Math.max(this.#stats.head, this.#recent.head.seq),
      removed: { ...this.#removed },
      connection: { isUp, roundTrip }
    }
  }

  /** Whether an event would be accepted now, and reach this node. */
  async ready(): Promise<boolean> {
    if (this.#isClosed || !this.#link.isUp) return false
    if (this.#tail.isWanted && !this.#tail.isHealthy) return false
    try {
      // A server that rejects writes, or is out of memory for them, answers everything else.
      await this.#link.send(['SET', this.#link.key('probe'), '', 'PX', '1000'])
      return !this.#isClosed
    } catch {
      return false
    }
  }

  async #query(query: ReadQuery): Promise<ReadResult> {
    if (this.#isClosed) throw new HubClosedError()
    try {
      const state = await this.#reads.run(() => {
        // A read whose reader is gone is skipped, and costs Redis nothing.
        if (query.isWanted?.() === false) throw new LinkError('the reader is gone', false)
        return this.#run(this.#link, READ, queryArgs(query))
      })
      const page = readPage(this.#observe(state), query.channels)
      return query.isTailed === true ? this.#upToTail(page, query) : page
    } catch (error) {
      throw this.#isClosed ? new HubClosedError() : unreadable(error)
    }
  }

  /**
   * A page for a reader that also gets the events of the tail. Those after the tail's head are left to it: it passes them in
   * their order among transient events. A reader that comes from another node may be ahead of the tail.
   */
  #upToTail(page: ReadResult, { channels, from }: ReadQuery): ReadResult {
    const { head } = this.#recent
    const comes = this.#tail.isHealthy && this.#interest.isComplete(channels, head.seq)
    const reader = cursorIn(from)
    return comes ? cutAt(page, reader !== undefined && reader.seq > head.seq ? reader : head) : page
  }

  async #run(
    link: RedisLink,
    script: LuaScript,
    args: readonly RedisArgument[],
    onMissing?: OnMissing,
    tail = this.#tail.id
  ): Promise<LogState> {
    const { clock, isOwnTime, retention } = this.#parts
    const now = isOwnTime ? String(clock.now()) : ''
    // The tail's connection may lead to a former master, where no loss must be recorded.
    const name = link === this.#link ? `${candidate()} ${this.#dispatchedEvents.text}` : candidate()
    const sentAt = clock.monotonic()
    const caller = `${retention.age} ${tail}`
    const state = readState(await link.run(script, link.key('state'), [now, name, caller, ...args], onMissing), tail)
    this.#time.observe(state.time, sentAt)
    this.#stats = state.stats
    this.#removed.evicted += state.removed.evicted
    this.#removed.expired += state.removed.expired
    return state
  }

  /** Runs a script on the connection of the tail. */
  async #runBlocking(link: RedisLink, script: LuaScript, args: readonly string[], tail: string): Promise<LogState> {
    await link.untilUp(START)
    return this.#run(link, script, args, undefined, tail)
  }

  #bounds(nonce: string): string[] {
    const { retention, idempotencyWindow, tailBytes } = this.#parts
    const { user, topic, everyone, inbox, channelBytes, bytes } = retention
    return [
      ...[user, topic, everyone, channelBytes, bytes, idempotencyWindow, tailBytes].map(String),
      nonce,
      String(inbox)
    ]
  }

  #observe(state: LogState): LogState {
    this.#dispatchedEvents.observe(state)
    this.#tail.observe(state)
    this.#recent.know(state.head)
    return state
  }

  #dispatch(events: readonly LogEvent[]): void {
    const last = events.findLast(({ cursor }) => cursor !== null)?.cursor
    if (last) this.#dispatchedEvents.dispatched(last)
    this.#notify((listener) => listener.onEvents(events))
  }

  /** Calls the listeners. One that throws violates its contract, and does not affect the others. */
  #notify(call: (listener: TailListener) => void): void {
    for (const tail of [...this.#tails]) {
      if (!this.#tails.has(tail)) continue
      try {
        call(tail.listener)
      } catch (error) {
        this.#parts.onFault(error, 'a listener of the event log has failed')
      }
    }
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    this.#tails.clear()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, GRACE)
    })
    await Promise.race([this.#appender.close(), late])
    clearTimeout(timer)
    this.#interest.close()
    await this.#tail.close()
    await this.#leave()
    this.#link.close()
    await this.#appender.close()
  }

  /** Ends the tail. A node that cannot be heard keeps it until its lease is over. */
  async #leave(): Promise<void> {
    if (!this.#link.isUp || this.#tail.id === '') return
    // The tail of a node that is not heard expires anyway.
    await this.#run(this.#link, LEAVE, []).catch(() => undefined)
  }
}
