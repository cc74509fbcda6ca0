import { LatencyHistogram } from '../latency-histogram.ts'
import { type Address, endClient, type FaultListener, inTime, messageOf, type RedisClient } from './client.ts'
import { greet, isUnfit, movedTo } from './fitness.ts'
import {
  LinkError,
  type LuaScript,
  type OnMissing,
  type RedisArgument,
  type RedisLink,
  RedisReplyError
} from './link.ts'

export interface ConnectionOptions {
  /** Creates an unconnected client that never reconnects by itself, and queues no commands while it is down. */
  readonly open: (address: Address | undefined) => RedisClient | Promise<RedisClient>
  /** The node of a cluster that has the keys, once another node has redirected there: all connections go to it. */
  moved?: Address | undefined
  readonly prefix: string
  /** Reply timeout in milliseconds. */
  readonly timeout: number
  /** A number from 0 up to but not including 1. */
  readonly random: () => number
  /** Reports errors that no command can report. */
  readonly onFault: FaultListener
}

/** Milliseconds between checks whether Redis still answers. */
const CHECK_INTERVAL = 250
/** Idle time after which the connection sends a PING, in milliseconds. */
const IDLE = 1_000
/** Timeout of connecting, in milliseconds. */
const CONNECT_TIMEOUT = 2_000
/**
 * The delay before the second attempt, which doubles with each, and its max., in milliseconds; half of it is random. An attempt
 * costs little, and until one succeeds presence is wrong.
 */
const MIN_DELAY = 50
const MAX_DELAY = 400
/**
 * A self-reconnecting Redis connection. Each attempt has a client of its own: a lost client is discarded and its commands are
 * rejected, so that no command is executed later than its sender expects. The reply timeout detects a Redis that accepts
 * connections and never answers, because it or its disk has stopped.
 */
export class RedisConnection implements RedisLink {
  readonly #options: ConnectionOptions
  readonly #blocking: number
  readonly #ups = new Set<() => void>()
  readonly #downs = new Set<(problem: string) => void>()
  readonly #ended = new Set<() => void>()
  /** Scripts whose text this client has sent. */
  readonly #sentScripts = new Set<LuaScript>()
  #client: RedisClient | undefined
  #problem = 'it is not connected yet'
  #isClosed = false
  #roundTrip = 0
  readonly roundTrips = new LatencyHistogram()
  /** Commands in flight. */
  #unanswered = 0
  /** Time since the last reply while commands are in flight, and since the last command, in milliseconds. */
  #silence = 0
  #idle = 0
  #checkedAt = 0
  #lose: ((problem: string) => void) | undefined
  #wake: (() => void) | undefined

  constructor(options: ConnectionOptions, blocking = 0) {
    this.#options = options
    this.#blocking = blocking
    void this.#run()
  }

  get isUp(): boolean {
    return this.#client !== undefined
  }

  get roundTrip(): number {
    return this.#roundTrip
  }

  get problem(): string {
    return this.#problem
  }

  key(name: string): string {
    return `{${this.#options.prefix}}:${name}`
  }

  async send(args: readonly RedisArgument[]): Promise<unknown> {
    const client = this.#client
    if (client === undefined) throw new LinkError(`Redis cannot be reached: ${this.#problem}`, false)
    this.#unanswered++
    this.#idle = 0
    const sentAt = performance.now()
    try {
      const reply = await client.sendCommand([...args])
      this.#roundTrip = performance.now() - sentAt
      this.roundTrips.observe(this.#roundTrip)
      return reply
    } catch (error) {
      const { message } = error as Error
      if (this.#client !== client || !client.isReady)
        throw new LinkError(`the connection was lost: ${this.#problem}`, true)
      const rejection = new RedisReplyError(message)
      if (isUnfit(rejection)) this.#leave(rejection)
      throw rejection
    } finally {
      if (this.#client === client) {
        this.#unanswered--
        this.#silence = 0
      }
    }
  }

  async run(
    script: LuaScript,
    key: string,
    args: readonly RedisArgument[],
    onMissing: OnMissing = (send) => send()
  ): Promise<unknown> {
    const send = () => this.send(['EVAL', script.source, '1', key, ...args])
    try {
      // The first call of each client has the text: Redis need not know the script, and replies in the order of the calls.
      if (!this.#sentScripts.has(script)) {
        this.#sentScripts.add(script)
        return await send()
      }
      return await this.send(['EVALSHA', script.sha1, '1', key, ...args])
    } catch (error) {
      if (!(error instanceof RedisReplyError)) throw error
      if (error.kind === 'NOSCRIPT') return onMissing(send)
      if (error.kind !== 'MOVED') throw error
      await this.untilUp(CONNECT_TIMEOUT)
      return send()
    }
  }

  untilUp(milliseconds: number): Promise<void> {
    if (this.isUp) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        clearTimeout(timer)
        this.#ups.delete(onUp)
        this.#ended.delete(onEnd)
        outcome()
      }
      const fail = () => reject(new LinkError(`Redis cannot be reached: ${this.#problem}`, false))
      const onUp = () => settle(resolve)
      const onEnd = () => settle(fail)
      const timer = setTimeout(() => settle(fail), milliseconds)
      this.#ups.add(onUp)
      this.#ended.add(onEnd)
      if (this.#isClosed) onEnd()
    })
  }

  onUp(listener: () => void): () => void {
    this.#ups.add(listener)
    if (this.isUp) listener()
    return () => this.#ups.delete(listener)
  }

  onDown(listener: (problem: string) => void): () => void {
    this.#downs.add(listener)
    return () => this.#downs.delete(listener)
  }

  renew(problem: string): void {
    this.#lose?.(problem)
  }

  duplicate({ blocking = 0 }: { readonly blocking?: number | undefined } = {}): RedisLink {
    return new RedisConnection(this.#options, blocking)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#lose?.('it is closed')
    this.#problem = 'it is closed'
    this.#wake?.()
    for (const end of [...this.#ended]) end()
  }

  /** Never rejects: nothing may end this loop while the connection is wanted. */
  async #run(): Promise<void> {
    for (let failures = 0; !this.#isClosed; ) {
      try {
        if (await this.#connectOnce()) {
          failures = 0
          for (const down of [...this.#downs]) this.#call(() => down(this.#problem))
        } else failures++
      } catch (error) {
        failures++
        this.#problem = messageOf(error)
        this.#options.onFault(error, 'connecting to Redis failed unexpectedly; the hub retries')
      }
      await this.#wait(failures)
    }
  }

  /** Runs one client until it is lost. Returns whether it was connected. */
  async #connectOnce(): Promise<boolean> {
    const { promise: lost, resolve } = withResolvers<string>()
    let client: RedisClient | undefined
    let hasSocket = false
    const lose = (problem: string) => {
      // Synchronous, so that no further command uses the client, and its pending commands are rejected with the reason.
      if (client !== undefined && this.#client === client) this.#client = undefined
      this.#problem ||= problem
      resolve(problem)
    }
    this.#lose = lose
    try {
      const opened = await this.#opened()
      if (typeof opened === 'string') {
        this.#problem = opened
        return false
      }
      client = opened
      client.on('error', (error: Error) => lose(messageOf(error)))
      client.on('end', () => lose('the connection was closed'))
      client.on('connect', () => {
        hasSocket = true
      })
      const failure = await this.#connect(client, lost)
      if (failure === undefined) {
        await this.#live(client, lost)
        return true
      }
      this.#problem = failure
      this.#options.moved = movedTo(failure)
      return false
    } finally {
      // Commands in flight are rejected before listeners are notified of the loss.
      if (client !== undefined) endClient(client, hasSocket, this.#options.onFault)
    }
  }

  /** The next client, or the reason why it cannot be created. */
  async #opened(): Promise<RedisClient | string> {
    const { open, moved } = this.#options
    try {
      return await inTime(Promise.resolve(open(moved)), CONNECT_TIMEOUT)
    } catch (error) {
      if (error instanceof LinkError) return error.message
      throw error
    }
  }

  /** The reason of a failure; undefined once connected. */
  async #connect(client: RedisClient, lost: Promise<string>): Promise<string | undefined> {
    const connected = client.connect().then(() => greet(client, this.key('probe')), messageOf)
    const outcome = await inTime(Promise.race([connected, lost]), CONNECT_TIMEOUT)
    return this.#isClosed ? 'it is closed' : outcome
  }

  async #live(client: RedisClient, lost: Promise<string>): Promise<void> {
    this.#client = client
    this.#sentScripts.clear()
    this.#problem = ''
    this.#unanswered = 0
    this.#silence = 0
    this.#idle = 0
    this.#checkedAt = performance.now()
    const checking = setInterval(() => this.#check(), CHECK_INTERVAL)
    checking.unref()
    try {
      for (const up of [...this.#ups]) this.#call(up)
      await lost
    } finally {
      clearInterval(checking)
    }
  }

  /** A listener that fails must not keep the others from being called, nor the connection from being renewed. */
  #call(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.onFault(error, 'a listener of the connection to Redis failed')
    }
  }

  #check(): void {
    const now = performance.now()
    // After a blocked event loop a reply may be unread in the socket: only a part of that time counts.
    const elapsed = Math.min(now - this.#checkedAt, 2 * CHECK_INTERVAL)
    this.#checkedAt = now
    this.#idle += elapsed
    this.#silence = this.#unanswered === 0 ? 0 : this.#silence + elapsed
    if (this.#silence > this.#options.timeout + this.#blocking) this.#lose?.('it does not answer')
    else if (this.#unanswered === 0 && this.#idle >= IDLE) this.#ping()
  }

  /** Sends a PING. A lost connection is reported elsewhere; an error reply renews the connection. */
  #ping(): void {
    this.send(['PING']).catch((error: unknown) => {
      if (!(error instanceof LinkError)) this.renew(messageOf(error))
    })
  }

  /** Leaves an unfit server for the one that it redirects to, or for the next one that accepts a connection. */
  #leave(rejection: RedisReplyError): void {
    const address = movedTo(rejection.message)
    if (address !== undefined) this.#options.moved = address
    this.#lose?.(rejection.message)
  }

  #wait(failures: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    const wait = Math.min(MAX_DELAY, MIN_DELAY * 2 ** Math.min(failures, 10)) * (0.5 + this.#options.random() / 2)
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function withResolvers<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: ((value: Value) => void) | undefined
  const promise = new Promise<Value>((settle) => {
    resolve = settle
  })
  return { promise, resolve: resolve as (value: Value) => void }
}
