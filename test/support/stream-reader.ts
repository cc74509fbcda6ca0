import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { type Dispatched, StrictParser } from './strict-parser.ts'
import { untilChange } from './waiting.ts'

/** Reads an event stream from any iterable of bytes: an HTTP/2 stream, a response over TLS, the result of `inject`. */
export class StreamReader {
  readonly parser = new StrictParser()
  readonly source: Readable
  isEnded = false
  error: Error | undefined
  readonly #changes = new EventEmitter()

  constructor(source: Readable) {
    this.#changes.setMaxListeners(0)
    this.source = source
    source.on('data', (bytes: Buffer) => {
      this.parser.feed(bytes)
      this.#changes.emit('change')
    })
    const onEnd = () => {
      this.isEnded = true
      this.#changes.emit('change')
    }
    source.on('end', onEnd).on('close', onEnd)
    source.on('error', (error) => {
      this.error = error
    })
  }

  get events(): Dispatched[] {
    return this.parser.events
  }

  /** Events of publishers: all but the hub's own events. */
  get published(): string[] {
    return this.events.filter(({ event }) => !event.startsWith('hub.')).map(({ data }) => data)
  }

  async event(name: string): Promise<Dispatched> {
    await this.until(() => this.events.some(({ event }) => event === name), `an event ${name}`)
    return this.events.find(({ event }) => event === name) as Dispatched
  }

  async count(events: number): Promise<string[]> {
    await this.until(() => this.published.length >= events, `${events} events`)
    return this.published
  }

  async end(): Promise<void> {
    await this.until(() => this.isEnded, 'the end')
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    await untilChange(this.#changes, isTrue, what, () => JSON.stringify(this.events.slice(-5)))
  }
}
