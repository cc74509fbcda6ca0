import {
  createServer,
  type IncomingMessage,
  METHODS,
  type Server,
  type ServerOptions,
  ServerResponse,
  STATUS_CODES
} from 'node:http'
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2ServerRequest,
  Http2ServerResponse,
  type SecureServerOptions,
  type ServerHttp2Session
} from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { FastifyServerFactory, RawServerDefault } from 'fastify'
import { UnknownMethodError } from '../../services/errors.ts'
import type { Refusal } from '../../services/hub/refusals.ts'
import type { RawRequest, RawResponse } from '../response-sink.ts'
import { AddressCounts } from './address-counts.ts'
import { Http2Peers } from './http2-peers.ts'
import { IdleConnections } from './idle-connections.ts'
import { type ConnectionLimits, type ResolvedLimits, resolveLimits } from './limits.ts'
import { Pipelines } from './pipelines.ts'
import { UnreadResponses } from './unread-responses.ts'

/** How often connections are looked at, in milliseconds. */
const SWEEP = 1_000
/** How often Node looks for requests that take too long, in milliseconds. */
const CHECK_INTERVAL = 5_000
const KNOWN_METHODS = new Set(METHODS)

type Handler = (request: RawRequest, response: RawResponse) => void

/** What Fastify hands a server factory, as far as it is of use here. */
interface FactoryOptions {
  readonly http?: ServerOptions | null
  readonly https?: SecureServerOptions | boolean | null
  readonly http2?: boolean
  readonly keepAliveTimeout?: number
  readonly connectionTimeout?: number
}

/**
 * Makes the HTTP server of an app, with bounds on what its connections may cost: their number, in all and per address; their
 * time until a request is there; the answers that their clients do not read; and what Node leaves open of HTTP/2.
 */
export class ConnectionGuard {
  readonly #limits: ResolvedLimits
  readonly #addresses: AddressCounts
  readonly #idle: IdleConnections
  readonly #pipelines: Pipelines
  readonly #unread: UnreadResponses
  readonly #peers: Http2Peers
  #onRefusal: (reason: Refusal) => void = () => {}
  #hasDropped = false

  /** @throws {InvalidOptionError} */
  constructor(limits: ConnectionLimits = {}) {
    this.#limits = resolveLimits(limits)
    const { clock, maxPipelined, maxUnreadBytes, stallTimeout } = this.#limits
    const onCut = (reason: Refusal) => this.#onRefusal(reason)
    this.#addresses = new AddressCounts(this.#limits)
    this.#idle = new IdleConnections(() => clock.monotonic())
    this.#pipelines = new Pipelines({ maxQueued: maxPipelined, onCut })
    this.#unread = new UnreadResponses({ maxBytes: maxUnreadBytes, stallTimeout, onCut })
    this.#peers = new Http2Peers({ ...this.#limits, now: () => clock.monotonic(), onCut })
  }

  /** Calls `listener` for each connection or request that is refused or cut. There is one listener. */
  set onRefusal(listener: (reason: Refusal) => void) {
    this.#onRefusal = listener
  }

  /** For Fastify's option of this name. Its options `http`, `https`, `http2` and the timeouts of connections count as ever. */
  readonly serverFactory: FastifyServerFactory = (handler, options) => {
    const given = options as FactoryOptions
    const server = this.#create(this.#guarded(handler as unknown as Handler, given), given)
    const { maxConnections, maxRequestsPerConnection } = this.#limits
    if (maxConnections > 0) server.maxConnections = maxConnections
    server.maxRequestsPerSocket = maxRequestsPerConnection
    this.#answerForNode(server)
    this.#watch(server)
    return server as RawServerDefault
  }

  #create(
    handler: Handler,
    { http, https, http2, keepAliveTimeout = 72_000, connectionTimeout = 0 }: FactoryOptions
  ): Server {
    const { headersTimeout, requestTimeout, maxStreamsPerSession } = this.#limits
    const { PlainResponse, StreamResponse } = meteredResponses(this.#unread, this.#idle)
    const connectionsCheckingInterval = Math.min(CHECK_INTERVAL, headersTimeout)
    const times = { headersTimeout, requestTimeout, connectionsCheckingInterval, keepAliveTimeout }
    // The guard looks for the header itself, once a request is known to be worth an answer.
    const http1 = { ...times, ServerResponse: PlainResponse, requireHostHeader: false }
    const tls = { handshakeTimeout: headersTimeout, ...(typeof https === 'object' ? https : {}) }
    const settings = { ...tls.settings, maxConcurrentStreams: maxStreamsPerSession }
    const own = { settings, Http1ServerResponse: PlainResponse, Http2ServerResponse: StreamResponse }
    const listener = handler as (request: object, response: object) => void
    let server: unknown
    if (!http2)
      server = https ? createHttpsServer({ ...tls, ...http1 }, listener) : createServer({ ...http, ...http1 }, listener)
    else if (https) server = createSecureServer({ ...tls, ...own }, listener)
    else server = createHttp2Server({ ...http, ...own } as object, listener)
    // The HTTP/1 side of an HTTP/2 server takes none of them as options.
    Object.assign(server as Server, times)
    ;(server as Server).setTimeout(connectionTimeout)
    return server as Server
  }

  /** What is not worth its answer does not reach the app. */
  #guarded(handler: Handler, { http }: FactoryOptions): Handler {
    const requiresHost = http?.requireHostHeader ?? true
    return (request, response) => {
      if (request.httpVersionMajor === 1) {
        const plain = response as ServerResponse
        this.#idle.used(request as IncomingMessage)
        if (!this.#pipelines.admit(request as IncomingMessage, plain)) return
        if (requiresHost && request.httpVersionMinor === 1 && request.headers.host === undefined) {
          plain.writeHead(400, { connection: 'close' }).end()
          return
        }
      } else if (!KNOWN_METHODS.has(request.method as string)) {
        this.#onRefusal('unknownMethod')
        answerUnknownMethod(response as ServerResponse)
        return
      }
      handler(request, response)
    }
  }

  /** What Node answers by itself would be queued without a bound otherwise. */
  #answerForNode(server: Server): void {
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      if (this.#pipelines.admit(request, response)) response.writeHead(417).end()
    })
    server.on('dropRequest', (_request: IncomingMessage, socket: Socket) => this.#pipelines.dropped(socket))
  }

  #watch(server: Server): void {
    const { clock } = this.#limits
    // An HTTP/2 session keeps its socket from being destroyed; it is made while the listeners of its connection are called.
    let newest: Socket | undefined
    server.prependListener('secureConnection', (socket: Socket) => {
      newest = socket
    })
    server.on('session', (session: ServerHttp2Session) => this.#peers.add(session, newest as Socket))
    let stop: (() => void) | undefined
    server.once('listening', () => {
      // Not before: who paces connections takes over the listeners that there are, and this one is for each that arrives.
      server.prependListener('connection', (socket: Socket) => {
        newest = socket
        this.#arrived(socket)
      })
      stop = clock.every(SWEEP, () => {
        this.#peers.sweep()
        this.#idle.sweep(this.#hasDropped, (socket) => this.#pipelines.isBusy(socket))
        this.#hasDropped = false
      })
    })
    server.on('drop', () => {
      this.#onRefusal('connections')
      // Idle connections make room for the next client.
      this.#hasDropped = true
    })
    server.once('close', () => stop?.())
  }

  #arrived(socket: Socket): void {
    if (this.#addresses.admit(socket)) return
    this.#onRefusal('connectionsOfAddress')
    // After the listeners of the server, which take it for one that is open.
    process.nextTick(() => socket.resetAndDestroy())
  }
}

/** Fastify would answer 404, and log two lines about a fault of its own for each. */
function answerUnknownMethod(response: ServerResponse): void {
  const { code, message, statusCode = 501 } = new UnknownMethodError()
  response.writeHead(statusCode, { 'content-type': 'application/json; charset=utf-8' })
  response.end(JSON.stringify({ statusCode, code, error: STATUS_CODES[statusCode], message }))
}

/** Responses that list themselves when they are written to their end and have not left. */
function meteredResponses(unread: UnreadResponses, idle: IdleConnections) {
  class PlainResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
    override end(...args: unknown[]): this {
      idle.answered(this as ServerResponse)
      super.end(...(args as []))
      unread.add(this as ServerResponse)
      return this
    }
  }
  class StreamResponse<Request extends Http2ServerRequest = Http2ServerRequest> extends Http2ServerResponse<Request> {
    /** HTTP/2 has no such header; Fastify sets it beside bodies that are too large, and Node warns of it. */
    override writeHead(...args: unknown[]): this {
      const headers = args.at(-1)
      if (typeof headers === 'object' && headers !== null && 'connection' in headers) {
        const { connection: _, ...others } = headers
        args[args.length - 1] = others
      }
      return super.writeHead(...(args as [number]))
    }

    override end(...args: unknown[]): this {
      super.end(...(args as []))
      unread.add(this as Http2ServerResponse)
      return this
    }
  }
  return { PlainResponse, StreamResponse }
}
