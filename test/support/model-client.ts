import type { WireBytes } from '../../services/events/wire-bytes.ts'
import type { EventStream } from '../../services/streams/event-stream.ts'
import type { Sink, SinkListener } from '../../services/streams/sink.ts'
import type { ConnectionCheck } from './model-connection.ts'
import type { ConnectionLog } from './oracle.ts'
import { type Dispatched, StrictParser } from './strict-parser.ts'

/** The server's end of one connection. It keeps the bytes that the client has not read; a cut loses them. */
export class ModelSink implements Sink {
  isEnded = false
  isGone = false
  /** When it became backpressured, or last flushed bytes since. */
  progressAt = 0
  endedAt = Number.POSITIVE_INFINITY
  readonly #written = new StrictParser()
  /** Number of bytes that the kernel accepts before the socket reports backpressure. */
  readonly #kernel: number
  readonly #now: () => number
  readonly #onWritten: (dispatched: Dispatched) => void
  readonly #complain: (rule: string, message: string) => void
  #bytes = Buffer.alloc(0)
  #listener: SinkListener | undefined

  constructor(parts: {
    kernel: number
    now: () => number
    onWritten: (dispatched: Dispatched) => void
    complain: (rule: string, message: string) => void
  }) {
    this.#kernel = parts.kernel
    this.#now = parts.now
    this.#onWritten = parts.onWritten
    this.#complain = parts.complain
  }

  get isFull(): boolean {
    return this.unsent() > 0
  }

  /** Number of bytes that the client can read. */
  get readable(): number {
    return this.#bytes.length
  }

  write(bytes: WireBytes): boolean {
    if (this.isEnded) this.#complain('V11', 'written to after its end')
    const wasFull = this.isFull
    for (const dispatched of this.#take(bytes)) {
      // The hub's own events are short; a published event has any size.
      if (wasFull && !dispatched.event.startsWith('hub.')) {
        this.#complain('V9', `the socket was backpressured when ${dispatched.data} was written`)
      }
      this.#onWritten(dispatched)
    }
    if (!wasFull && this.isFull) this.progressAt = this.#now()
    return !this.isFull
  }

  end(bytes: WireBytes): void {
    if (this.isEnded) this.#complain('V11', 'ended twice')
    for (const dispatched of this.#take(bytes)) this.#onWritten(dispatched)
    if (!this.#written.isAtBoundary) this.#complain('W', 'ended in the middle of an event')
    this.isEnded = true
    this.endedAt = this.#now()
  }

  unsent(): number {
    return Math.max(0, this.#bytes.length - this.#kernel)
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
  }

  /** The client reads `count` bytes. */
  read(count: number): Buffer {
    const wasFull = this.isFull
    const bytes = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    if (wasFull && bytes.length > 0 && !this.isEnded) this.progressAt = this.#now()
    if (wasFull && !this.isFull && !this.isEnded) this.#listener?.onDrain()
    return bytes
  }

  /** Cuts the connection; unread bytes are lost. */
  cut(): void {
    if (this.isGone) return
    this.isGone = true
    this.#bytes = Buffer.alloc(0)
    this.#listener?.onClose()
  }

  #take({ plain }: WireBytes): Dispatched[] {
    this.#bytes = Buffer.concat([this.#bytes, plain])
    return this.#written.feed(plain)
  }
}

export interface Connection {
  readonly node: number
  readonly sink: ModelSink
  readonly stream: EventStream
  readonly check: ConnectionCheck
  readonly log: ConnectionLog
  readonly expiresAt: number | undefined
}

/** A client that, like an event source, knows only what it has read. */
export class ModelClient {
  readonly user: string
  readonly topics: readonly string[]
  connection: Connection | undefined
  /** Whether it has stopped reading. */
  isStalled = false
  /** All ids that it has received. */
  readonly ids: string[] = []
  lastEventId = ''
  #parser = new StrictParser()

  constructor(user: string, topics: readonly string[]) {
    this.user = user
    this.topics = topics
  }

  connect(connection: Connection): void {
    this.connection = connection
    this.#parser = new StrictParser()
  }

  /** Reads up to `count` bytes; `at` is the time. */
  read(count: number, at: number): void {
    const { connection } = this
    if (connection === undefined) return
    const { sink, log } = connection
    for (const { event, data, id } of this.#parser.feed(sink.read(count))) {
      if (id !== undefined) {
        this.lastEventId = id
        this.ids.push(id)
      }
      log.records.push({ event, data, id, at })
    }
    if (sink.isEnded && sink.readable === 0) this.cut()
  }

  cut(): void {
    this.connection?.sink.cut()
    this.connection = undefined
    this.isStalled = false
  }
}
