import { Agent, get } from 'node:http'
import { get as getTls, Agent as TlsAgent } from 'node:https'
import { starvation } from './process-cost.ts'
import { post } from './steady-publisher.ts'
import { StreamReader } from './stream-reader.ts'

/** Publishing interval, in milliseconds. */
const INTERVAL = 50
const USER = 'innocent'

export interface InnocentOptions {
  readonly url: string
  /** An API key with the scopes to publish and to make tickets. */
  readonly key: string
  readonly ca?: string | undefined
  /** The server's process. */
  readonly pid: number
}

export interface Wait {
  /** By wall-clock time. */
  readonly wall: number
  readonly byServer: number
}

const NO_WAIT: Wait = { wall: 0, byServer: 0 }

/** When an event was published, and how long the server had waited for a processor by then. */
interface Sent {
  readonly at: number
  readonly starvation: number
}

/** A user with one stream and a steady publisher. Beside an attack it must lose no event and must not be delayed. */
export class Innocent {
  readonly #options: InnocentOptions
  readonly #agent: Agent
  readonly #reader: StreamReader
  readonly #sent: Sent[] = []
  readonly #answers: Promise<void>[] = []
  readonly #timer: NodeJS.Timeout
  #received = 0
  #worst = NO_WAIT
  #failed: unknown[] = []

  private constructor(options: InnocentOptions, agent: Agent, reader: StreamReader) {
    this.#options = options
    this.#agent = agent
    this.#reader = reader
    reader.source.on('data', () => this.#receive())
    this.#timer = setInterval(() => this.#publish(), INTERVAL)
  }

  static async open(options: InnocentOptions): Promise<Innocent> {
    const { url, key, ca } = options
    const isTls = url.startsWith('https:')
    const agent = isTls
      ? new TlsAgent({ keepAlive: true, maxSockets: 1, ca })
      : new Agent({ keepAlive: true, maxSockets: 1 })
    const headers = { authorization: `Bearer ${key}` }
    const { body } = await post(`${url}/tickets`, JSON.stringify({ user: USER, ttl: 3_600_000 }), {
      ca,
      agent,
      headers
    })
    const path = `${url}/events?ticket=${JSON.parse(body).ticket}`
    const reader = await new Promise<StreamReader>((resolve, reject) => {
      const outgoing = isTls ? getTls(path, { ca, agent: false }) : get(path, { agent: false })
      outgoing.on('error', reject).on('response', (response) => resolve(new StreamReader(response)))
    })
    await reader.event('hub.welcome')
    return new Innocent(options, agent, reader)
  }

  /** Number of published events that have not arrived. */
  get pending(): number {
    return this.#sent.length - this.#received
  }

  /**
   * Returns the longest waits from the call of the publisher to the arrival of its event since the last call, in
   * milliseconds. `byServer` is the time in which the server ran or slept: all of the wait but the time in which it was
   * ready to run while others had the processors. Waits of this process count against the server, never for it.
   */
  takeWorst(): Wait {
    const oldest = this.#sent[this.#received]
    if (oldest !== undefined) this.#count(oldest)
    const worst = this.#worst
    this.#worst = NO_WAIT
    return worst
  }

  #count({ at, starvation: before }: Sent): void {
    const wall = Math.round(performance.now() - at)
    const byServer = Math.max(0, Math.round(wall - (starvation(this.#options.pid) - before)))
    this.#worst = { wall: Math.max(wall, this.#worst.wall), byServer: Math.max(byServer, this.#worst.byServer) }
  }

  /** Waits for all published events, and returns the faults. */
  async stop(): Promise<{ readonly published: number; readonly faults: unknown[] }> {
    clearInterval(this.#timer)
    await Promise.all(this.#answers)
    await this.#reader.count(this.#sent.length).catch((error) => this.#failed.push(error))
    const { published } = this.#reader
    for (const [index, data] of published.entries())
      if (data !== `${index}`) this.#failed.push(`event ${index} is ${data}`)
    this.#reader.source.destroy()
    this.#agent.destroy()
    return { published: this.#sent.length, faults: this.#failed.slice(0, 5) }
  }

  #publish(): void {
    const { url, key, ca } = this.#options
    const number = this.#sent.push({ at: performance.now(), starvation: starvation(this.#options.pid) }) - 1
    const call = post(`${url}/users/${USER}/events`, `{"data":${number}}`, {
      ca,
      // One connection, so that events are accepted in order.
      agent: this.#agent,
      headers: { authorization: `Bearer ${key}` }
    })
    this.#answers.push(
      call.then(
        ({ status, body }) => void (status !== 202 && this.#failed.push(body)),
        (error) => void this.#failed.push(error)
      )
    )
  }

  #receive(): void {
    const { length } = this.#reader.published
    for (; this.#received < length; this.#received++) this.#count(this.#sent[this.#received] as Sent)
  }
}
