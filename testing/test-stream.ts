import { EventEmitter } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { type Frame, frameReader } from '../client/frame-reader.ts'
import type { Stream } from '../services/streams/stream.ts'
import { type Answer, request } from './request.ts'

export interface TestStreamOptions {
  /** Headers of every request of the stream, such as a cookie or a token. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The cursor of a client that returns. */
  readonly lastEventId?: string | undefined
  /**
   * How long to wait for an event, in milliseconds.
   * @default 2_000
   */
  readonly timeout?: number | undefined
}

/** An event that a test stream has received. */
export interface ReceivedEvent {
  /** Its name; `message` without one. */
  readonly event: string
  /** Its data: parsed, if it is JSON, and else as text. */
  readonly data: unknown
  /** Its data as the hub sent it. */
  readonly text: string
  /** Its id, which is a cursor; a transient event has none. */
  readonly id: string | undefined
}

/** The stream was refused, has ended, or did not get what the test expected. */
export class TestStreamError extends Error {
  /** The status of a refusal, else 200. */
  readonly status: number

  constructor(message: string, status = 200) {
    super(message)
    this.name = 'TestStreamError'
    this.status = status
  }
}

/** Max. number of events in a message. */
const SHOWN = 10

let fences = 0

/** A client for tests: it does only what the test tells it, and never reconnects by itself. */
export class TestStream {
  readonly #target: FastifyInstance | string
  readonly #path: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #timeout: number
  readonly #changes = new EventEmitter()
  readonly #received: ReceivedEvent[] = []
  #pending: ReceivedEvent[] = []
  #answer: Answer | undefined
  #isEnded = false
  #isStalled = false
  /** The stream of the hub, if the hub is in this process. */
  #opened: Stream | undefined
  readonly #reached = new Set<string>()
  /** The cursor: the newest id that has arrived. A test may set it, before `resume()`. */
  lastEventId: string | undefined

  /** Use {@link openStream}. */
  constructor(target: FastifyInstance | string, path: string, options: TestStreamOptions) {
    this.#target = target
    this.#path = path
    this.#headers = options.headers ?? {}
    this.#timeout = options.timeout ?? 2_000
    this.lastEventId = options.lastEventId
    this.#changes.setMaxListeners(0)
  }

  /** Whether the hub has ended the stream, or the test has cut it. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** The headers of the response. */
  get headers(): Readonly<Record<string, string | string[] | number | undefined>> {
    return this.#answer?.headers ?? {}
  }

  /** All events that have arrived, in order: those of the hub itself, `hub.welcome` and the like, only by their name. */
  all(name?: string): readonly ReceivedEvent[] {
    return this.#received.filter(isNamed(name))
  }

  /**
   * Takes the next event of a name, or of any publisher, and waits for it. Each event is taken once; events with other names stay
   * for later calls.
   * @throws {TestStreamError} when it has not arrived in time, or cannot arrive any more.
   */
  async next(name?: string): Promise<ReceivedEvent> {
    const isNext = isNamed(name)
    await this.#until(() => this.#pending.some(isNext), name === undefined ? 'an event' : `an event "${name}"`)
    const found = this.#pending.find(isNext) as ReceivedEvent
    this.#pending = this.#pending.filter((event) => event !== found)
    return found
  }

  /**
   * Resolves if no event waits to be taken by `next()`. With the app as the target, everything that was published before the call
   * has arrived by then. With a URL it waits 100 ms.
   * @throws {TestStreamError} naming the events.
   */
  async expectNothing(): Promise<void> {
    await this.#untilCaughtUp()
    const found = this.#pending.filter(isNamed())
    if (found.length > 0) throw new TestStreamError(`expected no event; the stream has ${namesOf(found)}`)
  }

  /** Resolves with the event `hub.close` when the hub has ended the stream; without it, when the connection has ended. */
  async ended(): Promise<ReceivedEvent | undefined> {
    await this.#until(() => this.#isEnded, 'the end of the stream')
    return this.all('hub.close').at(-1)
  }

  /** Ends the connection, as a network that fails. `resume()` returns with the cursor. */
  cut(): void {
    this.#answer?.abort()
    this.#end()
  }

  /** Stops reading: what the hub sends collects in buffers, and then the stream is a slow client. */
  stall(): void {
    this.#isStalled = true
    this.#answer?.body.pause()
  }

  /** Reads on after `stall()`. After `cut()`, or the end of the stream, opens it again, with the cursor as `Last-Event-ID`. */
  async resume(): Promise<void> {
    const wasStalled = this.#isStalled
    this.#isStalled = false
    if (this.#isEnded) await this.connect()
    else if (wasStalled) this.#answer?.body.resume()
  }

  /** Ends the connection, at the end of the test. */
  async close(): Promise<void> {
    this.cut()
  }

  /** @internal */
  async connect(): Promise<void> {
    const opened: Stream[] = []
    const hub = typeof this.#target === 'string' ? undefined : this.#target.sse
    const onOpen = (stream: Stream) => opened.push(stream)
    hub?.on('open', onOpen)
    try {
      const cursor = this.lastEventId === undefined ? {} : { 'last-event-id': this.lastEventId }
      const headers = { accept: 'text/event-stream', ...cursor, ...this.#headers }
      const answer = await request(this.#target, this.#path, headers)
      if (answer.status !== 200 || !`${answer.headers['content-type']}`.startsWith('text/event-stream')) {
        throw new TestStreamError(`${this.#path} was answered ${answer.status}: ${await textOf(answer)}`, answer.status)
      }
      this.#answer = answer
      this.#isEnded = false
      this.#read(answer)
      // Only the welcome says which stream of the hub this is.
      if (opened.length > 0) await this.#until(() => this.all('hub.welcome').length > 0 || this.#isEnded, 'the welcome')
      const { stream } = (this.all('hub.welcome').at(-1)?.data ?? {}) as { stream?: string }
      this.#opened = opened.find(({ id }) => id === stream)
    } finally {
      hub?.off('open', onOpen)
    }
  }

  #read(answer: Answer): void {
    const read = frameReader()
    const { body } = answer
    body.setEncoding('utf8')
    const onEnd = () => {
      if (this.#answer === answer) this.#end()
    }
    body.on('data', (text: string) => {
      for (const frame of read(text)) this.#take(frame)
      this.#changes.emit('change')
    })
    body.on('end', onEnd).on('close', onEnd).on('error', onEnd)
  }

  #take({ event, data, id }: Frame): void {
    if (id !== undefined) this.lastEventId = id
    if (data === undefined) return
    if (event === 'test.fence') {
      this.#reached.add(data)
      return
    }
    const received = { event, data: parsed(data), text: data, id }
    this.#received.push(received)
    this.#pending.push(received)
  }

  #end(): void {
    this.#isEnded = true
    this.#opened = undefined
    this.#changes.emit('change')
  }

  async #untilCaughtUp(): Promise<void> {
    if (this.#isEnded) return
    if (this.#opened === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      return
    }
    const fence = String(++fences)
    void this.#opened.send({ event: 'test.fence', data: fence })
    await this.#until(() => this.#reached.delete(fence) || this.#isEnded, 'all events before')
  }

  async #until(isTrue: () => boolean, what: string): Promise<void> {
    const end = performance.now() + this.#timeout
    while (!isTrue()) {
      const rest = end - performance.now()
      const state = this.#received.length === 0 ? 'nothing has arrived' : `arrived: ${namesOf(this.#received)}`
      if (this.#isEnded) throw new TestStreamError(`the stream has ended without ${what}; ${state}`)
      if (rest <= 0) throw new TestStreamError(`${what} has not arrived within ${this.#timeout} ms; ${state}`)
      await this.#change(rest)
    }
  }

  #change(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#changes.off('change', settle)
        resolve()
      }
      const timer = setTimeout(settle, milliseconds)
      this.#changes.on('change', settle)
    })
  }
}

/**
 * Opens a stream, and resolves when the hub has accepted it.
 * @param target the app that has the route, which need not listen, or the URL of a server.
 * @throws {TestStreamError} with the status and the body of a refusal.
 */
export async function openStream(
  target: FastifyInstance | string,
  path: string,
  options: TestStreamOptions = {}
): Promise<TestStream> {
  const stream = new TestStream(target, path, options)
  await stream.connect()
  return stream
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Data need not be JSON.
    return text
  }
}

/** Tests an event for a name, or without one, for being of a publisher. */
function isNamed(name?: string): (event: ReceivedEvent) => boolean {
  return ({ event }) => (name === undefined ? !event.startsWith('hub.') : event === name)
}

/** The newest events, in short. */
function namesOf(events: readonly ReceivedEvent[]): string {
  const shown = events.slice(-SHOWN).map(({ event, text }) => `${event} ${text.slice(0, 100)}`)
  return [...(events.length > SHOWN ? [`${events.length - SHOWN} events`] : []), ...shown].join(', ')
}

async function textOf({ body }: Answer): Promise<string> {
  let text = ''
  for await (const piece of body.setEncoding('utf8')) text += piece
  return text
}
