import { GREETING } from '../events/hub-frames.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import type { Sink, SinkListener, TcpConnection } from './sink.ts'
import type { StreamHost } from './stream-host.ts'

const GREETING_BYTES = new WireBytes(GREETING)

/** The writable end of a stream: a sink, its backpressure, and how long its client has taken nothing. */
export class StreamOutput<Stream extends { readonly isClosed: boolean }> {
  /** The monotonic time of the last write, in milliseconds. */
  lastWrite: number
  isBackpressured = false
  readonly #host: StreamHost<Stream>
  readonly #stream: Stream
  readonly #sink: Sink
  #isGreeted = false
  /** For how many milliseconds the backpressured socket has sent nothing, and how many bytes it held at the last look. */
  #stalledFor = 0
  #unsentBefore = 0

  constructor(host: StreamHost<Stream>, stream: Stream, sink: Sink) {
    this.#host = host
    this.#stream = stream
    this.#sink = sink
    this.lastWrite = host.now
  }

  listen(listener: SinkListener): void {
    this.#sink.listen(listener)
  }

  /** How many bytes wait in the socket. */
  get unsent(): number {
    return this.#sink.unsent()
  }

  get connection(): TcpConnection | undefined {
    return this.#sink.connection?.()
  }

  /** Returns false if the socket is backpressured. `now` is the monotonic time. */
  write(bytes: WireBytes, now = this.#host.now): boolean {
    this.#isGreeted = true
    this.lastWrite = now
    this.#host.counts.bytes += bytes.chunk.length
    if (this.#sink.write(bytes)) return true
    if (!this.isBackpressured && !this.#stream.isClosed) {
      this.isBackpressured = true
      this.#stalledFor = 0
      this.#unsentBefore = this.unsent
      this.#host.onBackpressure(this.#stream)
    }
    return false
  }

  /** Sends the client its first bytes, unless it has received some. */
  greet(): void {
    if (!this.#isGreeted) this.write(GREETING_BYTES)
  }

  onDrain(): void {
    this.isBackpressured = false
    this.#stalledFor = 0
  }

  /** For how many milliseconds the client has taken nothing, `elapsed` of them since the last call. */
  measureStall(elapsed: number): number {
    const { unsent } = this
    this.#stalledFor = unsent < this.#unsentBefore ? 0 : this.#stalledFor + elapsed
    this.#unsentBefore = unsent
    return this.#stalledFor
  }

  /** Sends the last bytes, and cuts the connection if that takes longer than `grace` milliseconds. */
  end(text: string, grace: number): void {
    const bytes = new WireBytes(text)
    try {
      this.#sink.end(bytes, grace)
    } catch (error) {
      this.#host.onSinkError(this.#stream, error)
    }
  }
}
