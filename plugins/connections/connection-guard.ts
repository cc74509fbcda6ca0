import cluster from 'node:cluster'
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
import { WorkerConnections } from './worker-connections.ts'

/** Interval at which connections are checked, in milliseconds. */
const SWEEP = 1_000
/** Interval at which Node looks for requests that take too long, in milliseconds. */
const CHECK_INTERVAL = 5_000
const KNOWN_METHODS = new Set(METHODS)

type Handler = (request: RawRequest, response: RawResponse) => void

/** The options that Fastify passes to a server factory and that are used here. */
interface FactoryOptions {
  readonly http?: ServerOptions | null
  readonly https?: SecureServerOptions | boolean | null
  readonly http2?: boolean
  readonly keepAliveTimeout?: number
  readonly connectionTimeout?: number
}

/**
 * Creates the HTTP server of an app, with bounds on the cost of its connections: their number, in total and per address;
 * their time until a request is complete; responses that clients do not read; and the parts of HTTP/2 that Node does not
 * limit.
 */
export class ConnectionGuard {
  readonly #limits: ResolvedLimits
  readonly #addresses: AddressCounts
  readonly #idle: IdleConnections
  readonly #pipelines: Pipelines
  readonly #unread: UnreadResponses
  readonly #peers: Http2Peers
  /** In a worker of `node:cluster`, in place of Node's own limit. */
  readonly #worker: WorkerConnections | undefined
  #onRefusal: (reason: Refusal) => void = () => {}
  #hasDropped = false

  /** @throws {InvalidOptionError} */
  constructor(limits: ConnectionLimits = {}) {
    this.#limits = resolveLimits(limits)
    const { clock, maxPipelined, maxUnreadBytes, stallTimeout } = this.#limits
    const onCut = (reason: Refusal) => this.#onRefusal(reason)
    this.#addresses = new AddressCounts(this.#limits)
    const { maxConnections, counts } = this.#limits
    if (cluster.isWorker && maxConnections > 0) this.#worker = new WorkerConnections(maxConnections, counts)
    this.#idle = new IdleConnections(() => clock.monotonic())
    this.#pipelines = new Pipelines({ maxQueued: maxPipelined, onCut })
    this.#unread = new UnreadResponses({ maxBytes: maxUnreadBytes, stallTimeout, onCut })
    this.#peers = new Http2Peers({ ...this.#limits, now: () => clock.monotonic(), onCut })
  }

  /** @internal The limit of connections; 0 without one. */
  get maxConnections(): number {
    return this.#limits.maxConnections
  }

  /** Calls `listener` for each connection or request that is refused or cut. There is one listener. */
  set onRefusal(listener: (reason: Refusal) => void) {
    this.#onRefusal = listener
  }

  /** For Fastify's option of this name. Fastify's `http`, `https`, `http2` and connection timeouts still apply. */
  readonly serverFactory: FastifyServerFactory = (handler, options) => {
    const given = options as FactoryOptions
    const server = this.#create(this.#guarded(handler as unknown as Handler, given), given)
    const { maxConnections, maxRequestsPerConnection } = this.#limits
    if (maxConnections > 0 && this.#worker === undefined) server.maxConnections = maxConnections
    server.maxRequestsPerSocket = maxRequestsPerConnection
    this.#countNodeResponses(server)
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
    // The guard itself checks the `Host` header, after the pipelining limit.
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
    // The HTTP/1 side of an HTTP/2 server does not take them as options.
    Object.assign(server as Server, times)
    ;(server as Server).setTimeout(connectionTimeout)
    return server as Server
  }

  /** Keeps requests from the app that exceed the pipelining limit, lack a host, or have an unknown method. */
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

  /** Counts the responses that Node sends by itself, which would otherwise queue without a bound. */
  #countNodeResponses(server: Server): void {
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      if (this.#pipelines.admit(request, response)) response.writeHead(417).end()
    })
    server.on('dropRequest', (_request: IncomingMessage, socket: Socket) => this.#pipelines.dropped(socket))
  }

  #watch(server: Server): void {
    const { clock } = this.#limits
    // An HTTP/2 session hides its socket. It is created while the listeners of its connection run, so the newest socket is
    // its own.
    let newest: Socket | undefined
    server.prependListener('secureConnection', (socket: Socket) => {
      newest = socket
    })
    server.on('session', (session: ServerHttp2Session) => this.#peers.add(session, newest as Socket))
    let stop: (() => void) | undefined
    server.once('listening', () => {
      // Only now: the connection pacer takes over earlier listeners, and this one must see each connection on arrival.
      server.prependListener('connection', (socket: Socket) => {
        newest = socket
        this.#onConnection(socket)
      })
      stop = clock.every(SWEEP, () => {
        this.#peers.sweep()
        this.#idle.sweep(this.#hasDropped, (socket) => this.#pipelines.isBusy(socket))
        this.#hasDropped = false
      })
    })
    server.on('drop', () => this.#dropped())
    server.once('close', () => stop?.())
  }

  #dropped(): void {
    this.#onRefusal('connections')
    // Idle connections make room for the next client.
    this.#hasDropped = true
  }

  #onConnection(socket: Socket): void {
    if (this.#worker?.admit(socket) === false) this.#dropped()
    else if (this.#addresses.admit(socket)) return
    else this.#onRefusal('connectionsOfAddress')
    // After the listeners of the server, which expect an open socket.
    process.nextTick(() => socket.resetAndDestroy())
  }
}

/** Fastify would answer 404, and log two lines about an internal error for each. */
function answerUnknownMethod(response: ServerResponse): void {
  const { code, message, statusCode = 501 } = new UnknownMethodError()
  response.writeHead(statusCode, { 'content-type': 'application/json; charset=utf-8' })
  response.end(JSON.stringify({ statusCode, code, error: STATUS_CODES[statusCode], message }))
}

/** Response classes that register themselves when they have ended and their bytes have not left yet. */
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
    /**
     * Drops `Connection`: HTTP/2 has no such header, Fastify sets it for bodies that are too large, and Node warns about it.
     */
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
