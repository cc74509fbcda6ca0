import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Socket } from 'node:net'
import type { Sink, SinkListener } from '../services/sink.ts'

export type RawRequest = IncomingMessage | Http2ServerRequest
export type RawResponse = ServerResponse | Http2ServerResponse

/** Sends the head of a response, and returns where the bytes of its stream go. */
export function openSink(request: RawRequest, response: RawResponse, headers: OutgoingHttpHeaders): Sink {
  const { socket } = response
  if (request.httpVersionMajor === 1 && socket instanceof Socket) {
    return new SocketSink(request as IncomingMessage, response as ServerResponse, socket, headers)
  }
  return new ResponseSink(request, response, headers)
}

/**
 * An HTTP/1 response whose body ends with its connection (RFC 9112 §6.3, item 8): no chunk framing, so the same bytes can go
 * to any number of sockets, straight and in one write each. An event stream is the last response of its connection anyway.
 */
class SocketSink implements Sink {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #socket: Socket

  constructor(request: IncomingMessage, response: ServerResponse, socket: Socket, headers: OutgoingHttpHeaders) {
    this.#request = request
    this.#response = response
    this.#socket = socket
    // A host's `connectionTimeout` is for connections that do nothing; this one is watched by heartbeat and stall timeout.
    socket.setTimeout(0)
    response.removeHeader('Transfer-Encoding')
    response.writeHead(200, headers)
    // The head and the first bytes of the stream leave together, at the end of this turn.
    socket.cork()
    response.flushHeaders()
    process.nextTick(() => socket.uncork())
  }

  write(bytes: Uint8Array): boolean {
    const { writable } = this.#socket
    if (!writable) return false
    // A large write counts as full even if the kernel took all of it at once.
    return this.#socket.write(bytes) || this.#socket.writableLength === 0
  }

  unsent(): number {
    return this.#socket.writableLength
  }

  end(bytes: Uint8Array, grace: number): void {
    const socket = this.#socket
    if (socket.writable) socket.write(bytes)
    this.#response.end()
    cutAfter(grace, socket, () => socket.destroy())
  }

  listen(listener: SinkListener): void {
    const onClose = once(() => listener.onClose())
    this.#socket.on('drain', () => listener.onDrain())
    this.#socket.on('close', onClose)
    this.#response.on('close', onClose)
    // A request closes when it has been read; only with its socket gone is that the end.
    this.#request.on('close', () => this.#socket.destroyed && onClose())
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

  write(bytes: Uint8Array): boolean {
    if (this.#response.writableEnded || this.#response.destroyed) return false
    return (this.#response as ServerResponse).write(bytes)
  }

  unsent(): number {
    return this.#response.writableLength
  }

  end(bytes: Uint8Array, grace: number): void {
    if (this.#response.destroyed) return
    ;(this.#response as ServerResponse).end(bytes)
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
