import { LinkError, type LuaScript, type RedisArgument, type RedisLink, RedisReplyError } from './link.ts'

/** What is used of a client of node-redis. */
export interface RedisClient {
  readonly isReady: boolean
  connect(): Promise<unknown>
  destroy(): void
  sendCommand(args: RedisArgument[]): Promise<unknown>
  on(event: string, listener: (error: Error) => void): unknown
}

/** Where a node of a cluster is that owns the keys of this hub. */
export interface Address {
  readonly host: string
  readonly port: number
}

export interface ConnectionOptions {
  /** Makes a client that is not connected yet, never reconnects by itself, and parks no commands. */
  readonly open: (address: Address | undefined) => RedisClient
  /** Where a cluster has the keys, once a node of it has told: all lines are to go there. */
  moved?: Address | undefined
  readonly prefix: string
  /** How long Redis may be silent while it owes an answer, in milliseconds. */
  readonly timeout: number
  /** A number from 0 up to but not including 1. */
  readonly random: () => number
}

/** How often it is looked whether Redis still answers, in milliseconds. */
const LOOK = 250
/** A line on which nothing was said for so long is asked for a sign of life, in milliseconds. */
const IDLE = 1_000
/** How long a new line may take, in milliseconds. */
const CONNECT_TIMEOUT = 2_000
/** The wait before the second attempt, which doubles with each, and its cap, in milliseconds; half of it is chance. */
const FIRST_WAIT = 50
const LONGEST_WAIT = 2_000
/** A server that says one of these cannot do for now what is asked; another line may lead to one that can. */
const UNFIT = new Set(['READONLY', 'LOADING', 'MASTERDOWN', 'CLUSTERDOWN', 'MOVED', 'NOAUTH', 'UNBLOCKED'])

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
  #owed = 0
  /** For how long nothing has come of them, and nothing has been said at all, in milliseconds. */
  #silence = 0
  #idle = 0
  #lookedAt = 0
  #lose: ((problem: string) => void) | undefined
  #wake: (() => void) | undefined

  constructor(options: ConnectionOptions, blocking = 0) {
    this.#options = options
    this.#blocking = blocking
    this.#run().catch(() => {})
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
    this.#owed++
    this.#idle = 0
    try {
      return await client.sendCommand([...args])
    } catch (error) {
      const { message } = error as Error
      if (this.#client !== client || !client.isReady) throw new LinkError(`the line was lost: ${this.#problem}`, true)
      const refusal = new RedisReplyError(message)
      if (UNFIT.has(refusal.kind)) this.#leave(refusal)
      throw refusal
    } finally {
      if (this.#client === client) {
        this.#owed--
        this.#silence = 0
      }
    }
  }

  async run(script: LuaScript, key: string, args: readonly RedisArgument[]): Promise<unknown> {
    try {
      return await this.send(['EVALSHA', script.sha1, '1', key, ...args])
    } catch (error) {
      if (!(error instanceof RedisReplyError)) throw error
      if (error.kind === 'MOVED') await this.untilUp(CONNECT_TIMEOUT)
      else if (error.kind !== 'NOSCRIPT') throw error
      return this.send(['EVAL', script.source, '1', key, ...args])
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

  async #run(): Promise<void> {
    for (let failures = 0; !this.#isClosed; ) {
      const client = this.#options.open(this.#options.moved)
      // Without a listener an error would end the process; `lost` and the commands tell what it was.
      const lost = new Promise<string>((resolve) => {
        this.#lose = (problem) => {
          // At once, so that nothing more is sent on it, and what waits on it learns why it is rejected.
          if (this.#client === client) this.#client = undefined
          this.#problem ||= problem
          resolve(problem)
        }
      })
      const lose = this.#lose
      client.on('error', (error: Error) => lose?.(told(error)))
      client.on('end', () => lose?.('the line was closed'))
      const failure = await this.#connect(client, lost)
      if (failure === undefined) {
        failures = 0
        await this.#live(client, lost)
      } else {
        failures++
        this.#problem = failure
        this.#options.moved = undefined
        giveUp(client)
      }
      await this.#wait(failures)
    }
  }

  /** What went wrong, if anything. */
  async #connect(client: RedisClient, lost: Promise<string>): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve('it does not answer'), CONNECT_TIMEOUT)
    })
    // A server that is loading its data, or wants a password, lets anybody connect.
    const connected = client.connect().then(() => client.sendCommand(['PING']))
    const outcome = await Promise.race([connected.then(() => undefined, told), lost, late])
    clearTimeout(timer)
    return this.#isClosed ? 'it is closed' : outcome
  }

  async #live(client: RedisClient, lost: Promise<string>): Promise<void> {
    this.#client = client
    this.#problem = ''
    this.#owed = 0
    this.#silence = 0
    this.#idle = 0
    this.#lookedAt = performance.now()
    const look = setInterval(() => this.#look(), LOOK)
    look.unref()
    for (const up of [...this.#ups]) up()
    await lost
    clearInterval(look)
    giveUp(client)
    for (const down of [...this.#downs]) down(this.#problem)
  }

  #look(): void {
    const now = performance.now()
    // If the event loop was blocked, an answer may lie there unread: only so much of it counts.
    const elapsed = Math.min(now - this.#lookedAt, 2 * LOOK)
    this.#lookedAt = now
    this.#idle += elapsed
    this.#silence = this.#owed === 0 ? 0 : this.#silence + elapsed
    if (this.#silence > this.#options.timeout + this.#blocking) this.#lose?.('it does not answer')
    else if (this.#owed === 0 && this.#idle >= IDLE) this.send(['PING']).catch(() => {})
  }

  /** Leaves a server that cannot do what it is asked, for the one that it names, or for whoever answers next. */
  #leave(refusal: RedisReplyError): void {
    const [, host, port] = /^MOVED \d+ (\S+):(\d+)$/.exec(refusal.message) ?? []
    if (host !== undefined) this.#options.moved = { host, port: Number(port) }
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

/** Also a client that is still connecting: its socket is only known to it once it is connected. */
function giveUp(client: RedisClient): void {
  client.on('connect', () => client.destroy())
  client.destroy()
}

/** What went wrong, without what node's errors carry besides: an address is no secret, a URL with a password is. */
function told(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === undefined || message.includes(code) ? message : `${code} ${message}`
}
