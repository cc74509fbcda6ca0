import { EventEmitter, once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type Dispatched, StrictParser } from './strict-parser.ts'
import { untilChange } from './waiting.ts'

export interface ClientOptions {
  readonly lastEventId?: string | undefined
  readonly headers?: Record<string, string>
}

/** A client on a real socket, for tests that check every byte. The test reconnects, not the client. */
export class StreamClient {
  readonly parser = new StrictParser()
  readonly response: IncomingMessage
  /** The received text. */
  text = ''
  isEnded = false
  readonly #request: ClientRequest
  readonly #changes = new EventEmitter()

  private constructor(outgoing: ClientRequest, response: IncomingMessage) {
    this.#changes.setMaxListeners(0)
    this.#request = outgoing
    this.response = response
    response.on('data', (bytes: Buffer) => {
      this.text += bytes.toString()
      this.parser.feed(bytes)
      this.#changes.emit('change')
    })
    const onEnd = () => {
      this.isEnded = true
      this.#changes.emit('change')
    }
    response.on('end', onEnd).on('close', onEnd).on('error', onEnd)
  }

  /** Resolves when the head of the response has arrived, with any status. */
  static async open(url: string, { lastEventId, headers = {} }: ClientOptions = {}): Promise<StreamClient> {
    const outgoing = request(url, {
      agent: false,
      headers: { accept: 'text/event-stream', ...(lastEventId ? { 'last-event-id': lastEventId } : {}), ...headers }
    })
    outgoing.on('error', () => {})
    outgoing.end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    return new StreamClient(outgoing, response)
  }

  get status(): number {
    return this.response.statusCode ?? 0
  }

  get events(): Dispatched[] {
    return this.parser.events
  }

  /** Events of publishers: all but the hub's own events. */
  get published(): Dispatched[] {
    return this.events.filter(({ event }) => !event.startsWith('hub.'))
  }

  get lastEventId(): string {
    return this.parser.lastEventId
  }

  /** Resolves with the first event of that name. */
  async event(name: string): Promise<Dispatched> {
    await this.until(() => this.events.some(({ event }) => event === name), `an event ${name}`)
    return this.events.find(({ event }) => event === name) as Dispatched
  }

  /** Resolves when `events` events of publishers have arrived. */
  async count(events: number): Promise<Dispatched[]> {
    await this.until(() => this.published.length >= events, `${events} events`)
    return this.published
  }

  /** Resolves when the server has ended the stream, or the socket is closed. */
  async end(): Promise<void> {
    await this.until(() => this.isEnded, 'the end')
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    await untilChange(this.#changes, isTrue, what, () => this.text.slice(-2_000))
  }

  /** Destroys the connection. */
  cut(): void {
    this.#request.destroy()
  }

  /** Stops reading; the server's bytes collect in the buffers between. */
  pause(): void {
    this.response.pause()
  }

  resume(): void {
    this.response.resume()
  }
}
