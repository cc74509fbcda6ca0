import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import { LAST_CHUNK, type WireBytes } from '../services/events/wire-bytes.ts'
import type { Sink, SinkListener } from '../services/streams/sink.ts'

export type RawRequest = IncomingMessage | Http2ServerRequest
export type RawResponse = ServerResponse | Http2ServerResponse

export function isHttp2(request: RawRequest): request is Http2ServerRequest {
  return request.httpVersionMajor === 2
}

/** Sends the head of a response, and returns where the bytes of its stream go. */
export function openSink(request: RawRequest, response: RawResponse, headers: OutgoingHttpHeaders): Sink {
  const { socket } = response
  if (request.httpVersionMajor === 1 && socket instanceof Socket) {
    // A body on the request of a stream is of no use to anybody; unread it would keep the socket from telling of its end.
    if (hasBody(request)) request.resume()
    return new SocketSink(response as ServerResponse, socket, headers, request.httpVersionMinor > 0)
  }
  return new ResponseSink(request, response, headers)
}

/**
 * An HTTP/1 response. The same bytes, framed once, go to any number of sockets, straight and in one write each. To a client of
 * HTTP/1.0, which knows no chunks, they go without the frame, and the body ends with the connection (RFC 9112 §6.3, item 8).
 * An event stream is the last response of its connection anyway.
 */
class SocketSink implements Sink {
  readonly #response: ServerResponse
  readonly #socket: Socket
  #listener: SinkListener | undefined
  #isFull = false
  #isCorked = true
  #isGreeted = false
  readonly #isChunked: boolean

  constructor(response: ServerResponse, socket: Socket, headers: OutgoingHttpHeaders, isChunked: boolean) {
    this.#response = response
    this.#socket = socket
    this.#isChunked = isChunked
    // A host's `connectionTimeout` is for connections that do nothing; this one is watched by heartbeat and stall timeout.
    socket.setTimeout(0)
    response.removeHeader('Transfer-Encoding')
    const framing = isChunked ? { 'transfer-encoding': 'chunked' } : {}
    response.writeHead(200, { ...headers, ...framing, connection: 'close' })
    socket.on('data', countExtraBytes)
    // The head leaves together with the first bytes of the stream, which are a turn away: one write, and one to wake up for.
    socket.cork()
    response.flushHeaders()
    // The chunks are written past the response; it must not add the last one after them.
    response.chunkedEncoding = false
  }

  write(bytes: WireBytes): boolean {
    const socket = this.#socket
    if (!socket.writable) return false
    const isBelowMark = socket.write(this.#isChunked ? bytes.chunk : bytes.plain)
    if (this.#isCorked) this.#uncorkSoon()
    // A large write says "full" even if the kernel took all of it at once.
    if (isBelowMark || socket.writableLength === 0) return true
    if (!this.#isFull) {
      this.#isFull = true
      // Listened for only now: nearly all sockets never fill up, and listeners weigh.
      socket.once('drain', () => {
        this.#isFull = false
        this.#listener?.onDrain()
      })
    }
    return false
  }

  /** The greeting, which comes first, waits for the first page of history until the end of this tick. */
  #uncorkSoon(): void {
    if (this.#isGreeted) this.#uncork()
    else process.nextTick(() => this.#uncork())
    this.#isGreeted = true
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
    // Not before the bytes have left: a server that is being closed destroys every socket whose response has ended.
    if (socket.writable) socket.write(last, () => this.#response.end())
    else this.#response.end()
    this.#uncork()
    cutAfter(grace, socket, () => socket.destroy())
  }

  /** The socket is this response's alone: it closes with the response, and request and response with it. */
  listen(listener: SinkListener): void {
    this.#listener = listener
    // Emitted once; `once` would keep a wrapper around it for as long as the stream is open.
    this.#response.on('close', () => listener.onClose())
  }
}

/** Any other response: HTTP/2, and what `inject()` makes. Framing and flow control are the protocol's. */
class ResponseSink implements Sink {
  readonly #request: RawRequest
  readonly #response: RawResponse

  constructor(request: RawRequest, response: RawResponse, headers: OutgoingHttpHeaders) {
    this.#request = request
    this.#response = response
    // One signature of two classes: TypeScript cannot call a union of overloads.
    ;(response as ServerResponse).writeHead(200, headers)
    // HTTP/2 has sent them by now.
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

  listen(listener: SinkListener): void {
    const onClose = once(() => listener.onClose())
    this.#response.on('drain', () => listener.onDrain())
    this.#response.on('close', onClose)
    this.#request.on('aborted', onClose)
    this.#request.on('error', onClose)
  }
}

/** How many bytes a client may send behind the request of its stream: a stray request or two, and nothing that never ends. */
const MAX_EXTRA_BYTES = 16_384
const EXTRA_BYTES = Symbol('extra bytes')

/** One function for all sockets: a closure for each would be part of what each stream weighs. */
function countExtraBytes(this: Socket & { [EXTRA_BYTES]?: number }, bytes: Uint8Array): void {
  this[EXTRA_BYTES] = (this[EXTRA_BYTES] ?? 0) + bytes.length
  if (this[EXTRA_BYTES] > MAX_EXTRA_BYTES) this.destroy()
}

function hasBody({ headers }: RawRequest): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

/** Cuts what has not closed by itself in `grace` milliseconds. */
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
