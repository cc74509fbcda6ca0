import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { type SseHubOptions, type StreamIdentity, sseHub } from '../../plugins/sse-hub.ts'
import { type HubRoutesOptions, hubRoutes } from '../../routes/hub-routes.ts'
import type { CloseReason } from '../../services/events/close-reason.ts'
import type { EventStream } from '../../services/streams/event-stream.ts'
import { type ClientOptions, StreamClient } from './stream-client.ts'

export interface BuildOptions {
  /** Options of Fastify. */
  readonly server?: FastifyServerOptions & { http2?: boolean; https?: object }
  /** Options of the hub; by default `authenticate` takes `?user=`. */
  readonly hub?: SseHubOptions
  /** The host's own plugins, hooks and routes, after the hub. By default there is `GET /events`. */
  readonly host?: (app: FastifyInstance) => unknown
}

/** How long a test waits before it fails, in milliseconds. */
const PATIENCE = 10_000

/** A host app with a hub, closed when the test ends. Its error log lines are in `app.errors`. */
export async function buildHub(t: Test, { server, hub, host }: BuildOptions = {}): Promise<HubHost> {
  const errors: string[] = []
  const write = (line: string) => errors.push(line)
  const app = Fastify({ logger: { level: 'error', stream: { write } }, ...server } as FastifyServerOptions)
  t.teardown(() => app.close())
  await app.register(sseHub, { authenticate: userOfQuery, ...hub })
  if (host === undefined) app.get('/events', (request, reply) => app.sse.connect(request, reply))
  else await host(app)
  await app.ready()
  return new HubHost(app, errors)
}

/** A host app with the HTTP API under `/hub`, open to all by default. */
export function buildRoutes(
  t: Test,
  { routes, ...options }: Omit<BuildOptions, 'host'> & { routes?: HubRoutesOptions } = {}
): Promise<HubHost> {
  const host = (app: FastifyInstance) =>
    app.register(hubRoutes, { prefix: '/hub', authorize: () => true, authorizeTopic: () => true, ...routes })
  return buildHub(t, { ...options, host })
}

/** Authenticates any name in `?user=`. */
export function userOfQuery(request: FastifyRequest): StreamIdentity | undefined {
  const { user } = request.query as { user?: string }
  return user === undefined ? undefined : { user }
}

/** An app under test, with the queries that tests repeat. */
export class HubHost {
  readonly app: FastifyInstance
  /** The logged errors, a line each. */
  readonly errors: string[]
  /** The close reasons of streams, in order. */
  readonly closed: CloseReason[] = []
  /** The opened streams, in order. */
  readonly streams: EventStream[] = []
  #waiting: (() => void)[] = []

  constructor(app: FastifyInstance, errors: string[]) {
    this.app = app
    this.errors = errors
    app.sse.on('open', (stream) => {
      this.streams.push(stream as EventStream)
      this.#notify()
    })
    app.sse.on('close', (_stream, reason) => {
      this.closed.push(reason)
      this.#notify()
    })
  }

  /** Listens on a free port, and returns the address as a URL without a slash at its end. */
  async listen(): Promise<string> {
    return this.app.listen({ host: '127.0.0.1', port: 0 })
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get port(): number {
    return (this.app.server.address() as AddressInfo).port
  }

  /** Number of open streams. */
  get open(): number {
    return this.app.sse.stats().streams
  }

  /** Resolves when `count` streams have been closed. */
  untilClosed(count: number): Promise<void> {
    return this.#until(() => this.closed.length >= count, `${count} streams to be closed`)
  }

  /** Resolves when `count` streams have been opened. */
  untilOpened(count: number): Promise<void> {
    return this.#until(() => this.streams.length >= count, `${count} streams to be opened`)
  }

  /** Opens a stream, and resolves after its welcome. */
  async client(url: string, options: ClientOptions = {}): Promise<StreamClient> {
    const client = await StreamClient.open(url, options)
    await client.event('hub.welcome')
    return client
  }

  async #until(isTrue: () => boolean, what: string): Promise<void> {
    const patience = setTimeout(() => this.#notify(), PATIENCE)
    const until = performance.now() + PATIENCE
    while (!isTrue()) {
      if (performance.now() >= until) throw new Error(`waited in vain for ${what}; closed: ${this.closed.join(', ')}`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    clearTimeout(patience)
  }

  #notify(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/**
 * Any warning of the process fails the test: too many listeners, a deprecated call, a header that HTTP/2 does not have.
 */
export function failOnWarnings(t: Test): void {
  const onWarning = (warning: Error) => t.fail(`process warning: ${warning.name}: ${warning.message}`)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
}
