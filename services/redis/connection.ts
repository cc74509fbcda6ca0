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
  /** Makes a client that is not connected yet, never reconnects by itself, and parks no commands. */
  readonly open: (address: Address | undefined) => RedisClient | Promise<RedisClient>
  /** Where a cluster has the keys, once a node of it has told: all lines are to go there. */
  moved?: Address | undefined
  readonly prefix: string
  /** How long Redis may be silent while it owes an answer, in milliseconds. */
  readonly timeout: number
  /** A number from 0 up to but not including 1. */
  readonly random: () => number
  /** Takes errors that no command can report. */
  readonly onFault: FaultListener
}

/** How often it is looked whether Redis still answers, in milliseconds. */
const LOOK = 250
/** A line on which nothing was said for so long is asked for a sign of life, in milliseconds. */
const IDLE = 1_000
/** How long a new line may take, in milliseconds. */
const CONNECT_TIMEOUT = 2_000
/**
 * The wait before the second attempt, which doubles with each, and its cap, in milliseconds; half of it is chance. An attempt
 * costs little, and until one succeeds presence is wrong.
 */
const FIRST_WAIT = 50
const LONGEST_WAIT = 400
/**
 * One connection after the other to the same Redis. Each has a client of its own: one that is lost is given up with all that
 * waits on it, so that no command is done later than its sender believes, and a Redis that accepts and never answers (it is
 * stopped, or its disk is) is told from an idle one.
 */
export class RedisConnection implements RedisLink {
  readonly #options: ConnectionOptions
  readonly #blocking: number
  readonly #ups = new Set<() => void>()
  readonly #downs = new Set<(problem: string) => void>()
  readonly #ended = new Set<() => void>()
  #client: RedisClient | undefined
  #problem = 'it is not connected yet'
  #isClosed = false
  /** Commands on their way. */
  #unanswered = 0
  /** For how long nothing has come of them, and nothing has been said at all, in milliseconds. */
  #silence = 0
  #idle = 0
  #lookedAt = 0
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
    try {
      return await client.sendCommand([...args])
    } catch (error) {
      const { message } = error as Error
      if (this.#client !== client || !client.isReady) throw new LinkError(`the line was lost: ${this.#problem}`, true)
      const refusal = new RedisReplyError(message)
      if (isUnfit(refusal)) this.#leave(refusal)
      throw refusal
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
        this.#options.onFault(error, 'connecting to Redis failed unexpectedly; it is tried again')
      }
      await this.#wait(failures)
    }
  }

  /** Takes one client from its beginning to its end. Returns whether it was connected in between. */
  async #connectOnce(): Promise<boolean> {
    const { promise: lost, resolve } = withResolvers<string>()
    let client: RedisClient | undefined
    let hasSocket = false
    const lose = (problem: string) => {
      // At once, so that nothing more is sent on it, and what waits on it learns why it is rejected.
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
      client.on('end', () => lose('the line was closed'))
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
      // Commands on their way are rejected before listeners learn of the loss.
      if (client !== undefined) endClient(client, hasSocket, this.#options.onFault)
    }
  }

  /** The next client, or why there is none. */
  async #opened(): Promise<RedisClient | string> {
    const { open, moved } = this.#options
    try {
      return await inTime(Promise.resolve(open(moved)), CONNECT_TIMEOUT)
    } catch (error) {
      if (error instanceof LinkError) return error.message
      throw error
    }
  }

  /** What went wrong, if anything. */
  async #connect(client: RedisClient, lost: Promise<string>): Promise<string | undefined> {
    const connected = client.connect().then(() => greet(client, this.key('probe')), messageOf)
    const outcome = await inTime(Promise.race([connected, lost]), CONNECT_TIMEOUT)
    return this.#isClosed ? 'it is closed' : outcome
  }

  async #live(client: RedisClient, lost: Promise<string>): Promise<void> {
    this.#client = client
    this.#problem = ''
    this.#unanswered = 0
    this.#silence = 0
    this.#idle = 0
    this.#lookedAt = performance.now()
    const look = setInterval(() => this.#look(), LOOK)
    look.unref()
    try {
      for (const up of [...this.#ups]) this.#call(up)
      await lost
    } finally {
      clearInterval(look)
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

  #look(): void {
    const now = performance.now()
    // If the event loop was blocked, an answer may lie there unread: only so much of it counts.
    const elapsed = Math.min(now - this.#lookedAt, 2 * LOOK)
    this.#lookedAt = now
    this.#idle += elapsed
    this.#silence = this.#unanswered === 0 ? 0 : this.#silence + elapsed
    if (this.#silence > this.#options.timeout + this.#blocking) this.#lose?.('it does not answer')
    else if (this.#unanswered === 0 && this.#idle >= IDLE) this.#askForSign()
  }

  /** Only whether an answer comes counts: what else goes wrong has ended the line, and its problem is told there. */
  #askForSign(): void {
    this.send(['PING']).catch((error: unknown) => {
      if (!(error instanceof LinkError)) this.renew(messageOf(error))
    })
  }

  /** Leaves a server that cannot do what it is asked, for the one that it names, or for whoever answers next. */
  #leave(refusal: RedisReplyError): void {
    const address = movedTo(refusal.message)
    if (address !== undefined) this.#options.moved = address
    this.#lose?.(refusal.message)
  }

  #wait(failures: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(failures, 10)) * (0.5 + this.#options.random() / 2)
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
