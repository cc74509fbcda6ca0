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
import { APPEND, POSITION, READ } from './log-scripts.ts'
import { type LogState, readState, timeIn } from './log-state.ts'
import { queryArgs, readPage } from './read-page.ts'
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
  /** Bytes that the tail keeps for nodes that lost their connection. */
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

/** The event log in Redis: many nodes, one hub. */
export class RedisLog implements EventLog, HealthCheck, MeasuredConnection {
  readonly #parts: RedisLogParts
  readonly #link: RedisLink
  readonly #recent: RecentEvents
  readonly #dispatchedEvents = new DispatchedEvents()
  readonly #time: StoreTime
  readonly #appender: Appender
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
      observe: (reply) => this.#observe(reply),
      problem: () => link.problem,
      lifetimeOf: (event) => lifetimeOf(event, retention)
    })
    // A store that is back may have lost its tail: this node checks at once. If that fails, the next call checks as well.
    link.onUp(
      () =>
        void this.#run(link, POSITION, []).then(
          (reply) => this.#observe(reply),
          () => undefined
        )
    )
    const blocking = link.duplicate({ blocking: BLOCK })
    this.#tail = new RedisTail({
      link: blocking,
      recent: this.#recent,
      storeTime: this.#time,
      where: async () => {
        await blocking.untilUp(START)
        const state = readState(await this.#run(blocking, POSITION, []))
        this.#stats = state.stats
        return state
      },
      onEvents: (events) => this.#dispatch(events),
      onDiscontinuity: (position) => {
        this.#notify((listener) => listener.onDiscontinuity(position))
      },
      onFault: parts.onFault
    })
  }

  append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    return this.#appender.append(events)
  }

  read(query: ReadQuery): ReadResult | Promise<ReadResult> {
    const recent = query.isTailed === true && this.#tail.isStarted ? this.#recent.read(query) : undefined
    return recent ?? this.#query(query)
  }

  async tail(listener: TailListener): Promise<Tail> {
    if (this.#isClosed) throw new HubClosedError()
    if (this.#parts.startDegraded && !this.#link.isUp) this.#tail.startLater()
    else
      await this.#tail
        .start()
        .catch((error: unknown) => Promise.reject(this.#isClosed ? new HubClosedError() : unreadable(error)))
    if (this.#isClosed) throw new HubClosedError()
    const tail = { listener }
    this.#tails.add(tail)
    const stop = async () => {
      this.#tails.delete(tail)
    }
    return { position: this.#tail.isStarted ? this.#recent.head : undefined, stop }
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
      const reply = await this.#reads.run(() => {
        // A read whose reader is gone is skipped, and costs Redis nothing.
        if (query.isWanted?.() === false) throw new LinkError('the reader is gone', false)
        return this.#run(this.#link, READ, queryArgs(query))
      })
      return readPage(this.#observe(reply), query.channels)
    } catch (error) {
      throw this.#isClosed ? new HubClosedError() : unreadable(error)
    }
  }

  async #run(
    link: RedisLink,
    script: LuaScript,
    args: readonly RedisArgument[],
    onMissing?: OnMissing
  ): Promise<unknown> {
    const { clock, isOwnTime, retention } = this.#parts
    const now = isOwnTime ? String(clock.now()) : ''
    // The tail's connection may lead to a former master, where no loss must be recorded.
    const name = link === this.#link ? `${candidate()} ${this.#dispatchedEvents.text}` : candidate()
    const sentAt = clock.monotonic()
    const reply = await link.run(script, link.key('state'), [now, name, String(retention.age), ...args], onMissing)
    this.#time.observe(timeIn(reply), sentAt)
    return reply
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

  #observe(reply: unknown): LogState {
    const state = readState(reply)
    this.#stats = state.stats
    this.#removed.evicted += state.removed.evicted
    this.#removed.expired += state.removed.expired
    this.#dispatchedEvents.observe(state)
    this.#tail.observe(state)
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
    await this.#tail.close()
    this.#link.close()
    await this.#appender.close()
  }
}
