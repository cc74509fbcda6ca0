import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createClient, RESP_TYPES } from 'redis'
import { freePort } from './free-port.ts'
import { without } from './programs.ts'

/** The reason why tests that need a Redis are skipped, or false. */
export const withoutRedis = without('redis-server')

export interface RedisServerOptions {
  /** Keeps its data over a restart. */
  readonly isDurable?: boolean
  /** More of its configuration: `['--maxmemory', '4mb']`. */
  readonly args?: readonly string[]
  /** Speaks TLS on a port of its own, as `args` configure. */
  readonly hasTls?: boolean
  /** Runs as a Sentinel, configured by this file. */
  readonly sentinelConfig?: string
}

/** A Redis for one test, on a port of its own, in a folder that is deleted with it. */
export class RedisServer {
  readonly port: number
  readonly #dir = mkdtempSync(join(tmpdir(), 'sse-hub-redis-'))
  readonly #options: RedisServerOptions
  #process: ChildProcess | undefined
  #isReady = false

  readonly tlsPort: number

  private constructor(port: number, tlsPort: number, options: RedisServerOptions) {
    this.port = port
    this.tlsPort = tlsPort
    this.#options = options
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options.hasTls ? await freePort() : 0, options)
    await server.start()
    if (!server.#isReady) throw new Error(`redis-server on port ${server.port} ended before it was ready`)
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Starts it again after it was killed, with its stored data. */
  async start(): Promise<void> {
    const { isDurable = false, args = [], hasTls = false, sentinelConfig } = this.#options
    const durability = isDurable ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']
    const common = [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--dir',
      this.#dir,
      '--save',
      '',
      '--repl-diskless-sync-delay',
      '0'
    ]
    const sentinel = ['--port', String(this.port), '--bind', '127.0.0.1', '--sentinel']
    this.#process = spawn(
      'redis-server',
      sentinelConfig !== undefined
        ? [sentinelConfig, ...sentinel]
        : [...common, ...durability, ...(hasTls ? ['--tls-port', String(this.tlsPort)] : []), ...args],
      { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    for await (const line of createInterface(this.#process.stdout as NodeJS.ReadableStream)) {
      this.#isReady = /Ready to accept connections|Sentinel ID is/.test(line)
      if (this.#isReady) break
    }
    this.#process.stdout?.resume()
  }

  /** Ends it without a shutdown. */
  async kill(): Promise<void> {
    const ending = this.#process
    this.#process = undefined
    if (ending === undefined || ending.exitCode !== null) return
    ending.kill('SIGKILL')
    if (ending.signalCode === null) await once(ending, 'exit')
  }

  /** Suspends it: it accepts connections and answers nothing, as when its disk is stuck. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  /**
   * Cuts the end off its append-only file, as a power loss does: within one of the last transactions, of which there
   * are `transactions`. It must be stopped, and durable.
   */
  tear(random: () => number, transactions = 1): void {
    const dir = join(this.#dir, 'appendonlydir')
    const [file] = readdirSync(dir).filter((name) => name.endsWith('.incr.aof')) as [string]
    const bytes = readFileSync(join(dir, file))
    let begin = bytes.length
    for (let left = transactions; left > 0 && begin > 0; left--) begin = bytes.lastIndexOf('$5\r\nMULTI', begin - 1)
    truncateSync(join(dir, file), begin + Math.floor(random() * (bytes.length - begin)))
  }

  /** Sends commands, one after the other, over a connection that is closed afterwards. */
  send(...commands: (readonly string[])[]): Promise<unknown> {
    return this.#send({}, commands)
  }

  /** The same with a password. */
  sendAs(password: string, ...commands: (readonly string[])[]): Promise<unknown> {
    return this.#send({ password }, commands)
  }

  async #send(credentials: { password?: string }, commands: readonly (readonly string[])[]): Promise<unknown> {
    const client = createClient({ url: this.url, RESP: 2, ...credentials })
    // The command is rejected with the same error.
    client.on('error', () => undefined)
    await client.connect()
    try {
      let reply: unknown
      for (const command of commands) reply = await client.sendCommand([...command])
      return reply
    } finally {
      client.destroy()
    }
  }

  /**
   * Copies the values of the matching keys; the returned function restores them, and deletes all other matching keys.
   */
  async snapshot(pattern: string): Promise<() => Promise<void>> {
    const client = createClient({ url: this.url })
    await client.connect()
    const keys = await client.keys(pattern)
    const dumps = new Map<string, Buffer>()
    const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
    for (const key of keys) {
      // A key may expire meanwhile, as that of the probe does.
      const bytes = (await binary.dump(key)) as Buffer | null
      if (bytes !== null) dumps.set(key, bytes)
    }
    client.destroy()
    return async () => {
      const client = createClient({ url: this.url })
      await client.connect()
      const transaction = client.multi()
      for (const key of await client.keys(pattern)) transaction.del(key)
      for (const [key, bytes] of dumps) transaction.restore(key, 0, bytes)
      await transaction.exec()
      client.destroy()
    }
  }

  /** Resolves when it has replicated all data of its master. */
  async follow(master: RedisServer): Promise<void> {
    await this.send(['REPLICAOF', '127.0.0.1', String(master.port)])
    await this.until(['INFO', 'replication'], 'master_link_status:up')
  }

  /** Repeats a command until its answer contains the expected text. */
  async until(command: readonly string[], expected: string): Promise<void> {
    while (!String(await this.send(command)).includes(expected)) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  async stop(): Promise<void> {
    this.thaw()
    await this.kill()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
