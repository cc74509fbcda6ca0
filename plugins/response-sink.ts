import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import { LAST_CHUNK, type WireBytes } from '../services/events/wire-bytes.ts'
import type { Sink, SinkListener, TcpConnection } from '../services/streams/sink.ts'

export type RawRequest = IncomingMessage | Http2ServerRequest
export type RawResponse = ServerResponse | Http2ServerResponse

export function isHttp2(request: RawRequest): request is Http2ServerRequest {
  return request.httpVersionMajor === 2
}

/** Sends the head of a response, and returns the sink for the bytes of its stream. */
export function openSink(request: RawRequest, response: RawResponse, headers: OutgoingHttpHeaders): Sink {
  const { socket } = response
  if (request.httpVersionMajor === 1 && socket instanceof Socket) {
    // A request body is discarded: unread, it would keep the socket from reporting its end.
    if (hasBody(request)) request.resume()
    return new SocketSink(response as ServerResponse, socket, headers, request.httpVersionMinor > 0)
  }
  return new ResponseSink(request, response, headers)
}

/**
 * An HTTP/1 response. The same bytes are framed as a chunk once and written directly to any number of sockets, in one write
 * each. HTTP/1.0 has no chunks: its clients receive the bytes without the frame, and the body ends with the connection (RFC
 * 9112 §6.3, item 8). An event stream is the last response of its connection anyway.
 */
class SocketSink implements Sink {
  readonly #response: ServerResponse
  readonly #socket: Socket
  #listener: SinkListener | undefined
  #isBackpressured = false
  #isCorked = true
  #hasWelcome = false
  readonly #isChunked: boolean

  constructor(response: ServerResponse, socket: Socket, headers: OutgoingHttpHeaders, isChunked: boolean) {
    this.#response = response
    this.#socket = socket
    this.#isChunked = isChunked
    // A host's `connectionTimeout` is for idle connections; heartbeat and stall timeout watch this one.
    socket.setTimeout(0)
    response.removeHeader('Transfer-Encoding')
    const framing = isChunked ? { 'transfer-encoding': 'chunked' } : {}
    response.writeHead(200, { ...headers, ...framing, connection: 'close' })
    socket.on('data', countExtraBytes)
    // The head leaves in one write with the first bytes of the stream, which follow a turn later: the client wakes up once.
    socket.cork()
    response.flushHeaders()
    // The chunks are written directly to the socket; the response must not add the last one.
    response.chunkedEncoding = false
  }

  write(bytes: WireBytes): boolean {
    const socket = this.#socket
    if (!socket.writable) return false
    const isBelowMark = socket.write(this.#isChunked ? bytes.chunk : bytes.plain)
    if (this.#isCorked) this.#uncorkSoon()
    // A large write returns false even if the kernel took all of it at once.
    if (isBelowMark || socket.writableLength === 0) return true
    if (!this.#isBackpressured) {
      this.#isBackpressured = true
      // Listens only now: most sockets never drain, and each listener takes memory.
      socket.once('drain', () => {
        this.#isBackpressured = false
        this.#listener?.onDrain()
      })
    }
    return false
  }

  /** The welcome, the first write, waits for the first page of history until the end of this tick. */
  #uncorkSoon(): void {
    if (this.#hasWelcome) this.#uncork()
    else process.nextTick(() => this.#uncork())
    this.#hasWelcome = true
  }

  #uncork(): void {
    if (!this.#isCorked) return
    this.#isCorked = false
    this.#socket.uncork()
  }

  unsent(): number {
    return this.#socket.writableLength
  }

  end(bytes: WireBytes, grace: number): void {
    const socket = this.#socket
    const last = this.#isChunked ? Buffer.concat([bytes.chunk, LAST_CHUNK]) : bytes.plain
    // Only after the bytes have left: a closing server destroys every socket whose response has ended.
    if (socket.writable) socket.write(last, () => this.#response.end())
    else this.#response.end()
    this.#uncork()
    cutAfter(grace, socket, () => socket.destroy())
  }

  connection(): TcpConnection {
    return this.#socket
  }

  /** No other response uses the socket: socket, request and response close together. */
  listen(listener: SinkListener): void {
    this.#listener = listener
    // Emitted only once. `once()` would keep a wrapper in memory while the stream is open.
    this.#response.on('close', () => listener.onClose())
  }
}

/** Any other response: HTTP/2, and the response of `inject()`. Node does framing and flow control. */
class ResponseSink implements Sink {
  readonly #request: RawRequest
  readonly #response: RawResponse

  constructor(request: RawRequest, response: RawResponse, headers: OutgoingHttpHeaders) {
    this.#request = request
    this.#response = response
    // Both classes have this signature, but TypeScript cannot call a union of overloads.
    ;(response as ServerResponse).writeHead(200, headers)
    // HTTP/2 has sent the head by now.
    if ('flushHeaders' in response) response.flushHeaders()
  }

  write({ plain }: WireBytes): boolean {
    if (this.#response.writableEnded || this.#response.destroyed) return false
    return (this.#response as ServerResponse).write(plain)
  }

  unsent(): number {
    return this.#response.writableLength
  }

  end({ plain }: WireBytes, grace: number): void {
    if (this.#response.destroyed) return
    ;(this.#response as ServerResponse).end(plain)
    cutAfter(grace, this.#response, () => this.#response.destroy())
  }

  /** All streams of an HTTP/2 session share its connection. The session alone may cut it. */
  connection(): TcpConnection | undefined {
    const session = isHttp2(this.#request) ? this.#request.stream.session : undefined
    if (session === undefined || session.destroyed) return undefined
    const { localPort, remoteAddress, remotePort } = session.socket
    return { localPort, remoteAddress, remotePort, destroy: () => session.destroy() }
  }

  listen(listener: SinkListener): void {
    const onClose = once(() => listener.onClose())
    this.#response.on('drain', () => listener.onDrain())
    this.#response.on('close', onClose)
    this.#request.on('aborted', onClose)
    this.#request.on('error', onClose)
  }
}

/** How many bytes a client may send after the request of its stream: a stray request or two, but no endless data. */
const MAX_EXTRA_BYTES = 16_384
const EXTRA_BYTES = Symbol('extra bytes')

/** One function for all sockets: a closure for each would cost memory per stream. */
function countExtraBytes(this: Socket & { [EXTRA_BYTES]?: number }, bytes: Uint8Array): void {
  this[EXTRA_BYTES] = (this[EXTRA_BYTES] ?? 0) + bytes.length
  if (this[EXTRA_BYTES] > MAX_EXTRA_BYTES) this.destroy()
}

function hasBody({ headers }: RawRequest): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

/** Calls `cut` unless the stream or socket closes within `grace` milliseconds. */
function cutAfter(
  grace: number,
  closing: { once(event: 'close', listener: () => void): unknown },
  cut: () => void
): void {
  const timer = setTimeout(cut, grace)
  timer.unref()
  closing.once('close', () => clearTimeout(timer))
}

function once(listener: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    listener()
  }
}
