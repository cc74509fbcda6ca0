import type { Clock } from '../../clock.ts'
import { HubClosedError } from '../../errors.ts'
import type { LogEvent, NewEvent } from '../../events/log-event.ts'
import { LinkError, type LuaScript, type OnMissing, type RedisArgument, type RedisLink } from '../../redis/link.ts'
import type {
  EventLog,
  HealthCheck,
  LogStats,
  ReadQuery,
  ReadResult,
  Receipt,
  Tail,
  TailListener
} from '../event-log.ts'
import type { Retention } from '../retention.ts'
import { Appender, candidate, unread } from './appender.ts'
import { DispatchedEvents } from './dispatched-events.ts'
import { APPEND, POSITION, READ } from './log-scripts.ts'
import { type LogState, readState, timeIn } from './log-state.ts'
import { queryArgs, readPage } from './read-page.ts'
import { RecentEvents } from './redis-recent-events.ts'
import { BLOCK, RedisTail } from './redis-tail.ts'
import { StoreTime } from './store-time.ts'
import { Turnstile } from './turnstile.ts'

/** How many reads are on their way at a time: so many, and no more, may lie before an append. Each is small: see read.lua. */
const READS = 4
/** How long `close` waits for what was already taken, in milliseconds. */
const GRACE = 1_000
/** How long the first tail waits for Redis, in milliseconds. */
const START = 5_000

export interface RedisLogParts {
  readonly link: RedisLink
  readonly retention: Retention
  readonly idempotencyWindow: number
  /** Bytes that the tail keeps for nodes that were cut off. */
  readonly tailBytes: number
  /** Bytes of recent events that this process keeps. */
  readonly recentBytes: number
  readonly clock: Clock
  /** Whether time is this process's, not the server's. */
  readonly isOwnTime: boolean
  /** Something is wrong that does not stop the log. */
  readonly onFault: (error: unknown, what: string) => void
  /** Whether listeners may begin while Redis is away: they are told of a break when it is there. */
  readonly startDegraded: boolean
}

interface Listening {
  readonly listener: TailListener
}

/** The event log in Redis: many nodes, one hub. */
export class RedisLog implements EventLog, HealthCheck {
  readonly #parts: RedisLogParts
  readonly #link: RedisLink
  readonly #recent: RecentEvents
  readonly #heard = new DispatchedEvents()
  readonly #time: StoreTime
  readonly #appender: Appender
  readonly #tail: RedisTail
  readonly #turnstile = new Turnstile(READS)
  readonly #listening = new Set<Listening>()
  #stats: LogStats = { kind: 'redis', events: 0, bytes: 0, channels: 0, head: 0 }
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
      noted: (reply) => this.#noted(reply),
      problem: () => link.problem
    })
    // A store that is back may have lost its tail: this node looks at once. If the look fails, the next call does as well.
    link.onUp(
      () =>
        void this.#run(link, POSITION, []).then(
          (reply) => this.#noted(reply),
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
        this.#tell((listener) => listener.onDiscontinuity(position))
      },
      onFault: parts.onFault
    })
  }

  append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    return this.#appender.append(events)
  }

  read(query: ReadQuery): ReadResult | Promise<ReadResult> {
    const near = query.isTailed === true && this.#tail.isStarted ? this.#recent.read(query) : undefined
    return near ?? this.#ask(query)
  }

  async tail(listener: TailListener): Promise<Tail> {
    if (this.#isClosed) throw new HubClosedError()
    if (this.#parts.startDegraded && !this.#link.isUp) this.#tail.startLater()
    else
      await this.#tail
        .start()
        .catch((error: unknown) => Promise.reject(this.#isClosed ? new HubClosedError() : unread(error)))
    if (this.#isClosed) throw new HubClosedError()
    const listening = { listener }
    this.#listening.add(listening)
    const stop = async () => {
      this.#listening.delete(listening)
    }
    return { position: this.#tail.isStarted ? this.#recent.head : undefined, stop }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  stats(): LogStats {
    return { ...this.#stats, head: Math.max(this.#stats.head, this.#recent.head.seq) }
  }

  /** Whether an event would be taken now, and heard of. */
  async ready(): Promise<boolean> {
    if (this.#isClosed || !this.#link.isUp) return false
    if (this.#tail.isWanted && !this.#tail.isWell) return false
    try {
      // A server that takes no writes, or has no room for them, answers everything else.
      await this.#link.send(['SET', this.#link.key('probe'), '', 'PX', '1000'])
      return !this.#isClosed
    } catch {
      return false
    }
  }

  async #ask(query: ReadQuery): Promise<ReadResult> {
    if (this.#isClosed) throw new HubClosedError()
    try {
      const reply = await this.#turnstile.pass(() => {
        // What a reader asked who has gone meanwhile costs Redis nothing.
        if (query.isWanted?.() === false) throw new LinkError('the reader is gone', false)
        return this.#run(this.#link, READ, queryArgs(query))
      })
      return readPage(this.#noted(reply), query.channels)
    } catch (error) {
      throw this.#isClosed ? new HubClosedError() : unread(error)
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
    // The tail's own line may lead to a server that was left already, where nothing is lost for anybody.
    const name = link === this.#link ? `${candidate()} ${this.#heard.text}` : candidate()
    const sentAt = clock.monotonic()
    const reply = await link.run(script, link.key('state'), [now, name, String(retention.age), ...args], onMissing)
    this.#time.observe(timeIn(reply), sentAt)
    return reply
  }

  #bounds(nonce: string): string[] {
    const { retention, idempotencyWindow, tailBytes } = this.#parts
    const { user, topic, everyone, channelBytes, bytes } = retention
    return [...[user, topic, everyone, channelBytes, bytes, idempotencyWindow, tailBytes].map(String), nonce]
  }

  #noted(reply: unknown): LogState {
    const state = readState(reply)
    this.#stats = state.stats
    this.#heard.answered(state)
    this.#tail.heard(state)
    return state
  }

  #dispatch(events: readonly LogEvent[]): void {
    const last = events.findLast(({ cursor }) => cursor !== null)?.cursor
    if (last) this.#heard.dispatched(last)
    this.#tell((listener) => listener.onEvents(events))
  }

  /** Calls the listeners that are there. One that throws has broken its contract, and does not keep events from the others. */
  #tell(call: (listener: TailListener) => void): void {
    for (const listening of [...this.#listening]) {
      if (!this.#listening.has(listening)) continue
      try {
        call(listening.listener)
      } catch (error) {
        this.#parts.onFault(error, 'a listener of the event log has failed')
      }
    }
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    this.#listening.clear()
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
