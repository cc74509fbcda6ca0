import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { activityLog } from './plugins/activity-log.ts'
import { Authentication, type AuthenticationOptions, authentication } from './plugins/authentication.ts'
import type { ConnectionGuard } from './plugins/connections/connection-guard.ts'
import { consoleUi } from './plugins/console-ui.ts'
import { corsPlugin } from './plugins/cors.ts'
import { documentationPage } from './plugins/documentation-page.ts'
import { limitFailures } from './plugins/failed-authentications.ts'
import { checkHost, checkOrigin } from './plugins/origin.ts'
import { packageVersion } from './plugins/package-version.ts'
import { rateLimit } from './plugins/rate-limit.ts'
import { type SseHubOptions, type StreamIdentity, sseHub } from './plugins/sse-hub.ts'
import { demoTask } from './routes/demo-task.ts'
import { documentationRoute } from './routes/documentation.ts'
import { guardWith, permitWith } from './routes/guard.ts'
import { type HubRoutesOptions, hubRoutes } from './routes/hub-routes.ts'
import { metricsRoute } from './routes/metrics.ts'
import { isProbe, plainProbeRoute } from './routes/status.ts'
import { identifiesSubscribers } from './routes/subscriber.ts'
import { InvalidOptionError, NotFoundError } from './services/errors.ts'
import { closeParts } from './services/hub/close-parts.ts'
import type { Hub } from './services/hub/hub.ts'
import type { Refused } from './services/hub/refusals.ts'
import { checkNames, REGISTER_OPTIONS } from './services/option-checks.ts'
import type { WorkerGroup } from './services/worker-group.ts'

export interface HubAppOptions {
  /**
   * Path below which everything is served, such as `/hub`. The console is at `/hub/`.
   * @default '' the root of the server
   */
  readonly prefix?: string
  /**
   * Options of the hub. Not allowed if `sseHub` is registered already: then the app serves that hub.
   * @default {}
   */
  readonly hub?: SseHubOptions | undefined
  /**
   * Origins, exactly as browsers send them, whose pages may use the hub.
   * @default [] pages of the hub's own origin only
   */
  readonly corsOrigins?: readonly string[] | undefined
  /**
   * Credentials that publishers and subscribers need, or an authentication with `corsOrigins` as its origins.
   * @default undefined: the hub is open; every caller may read and publish
   */
  readonly authentication?: Omit<AuthenticationOptions, 'origins'> | Authentication | undefined
  /**
   * Whether an open hub serves only requests for a name of this machine, so that no page of another site can reach it by its
   * own name (DNS rebinding).
   * @default true
   */
  readonly loopbackOnly?: boolean | undefined
  /**
   * Calls per second that publish, close streams, or issue a ticket: per API key, and per address without a key. As many
   * requests with bad credentials are accepted from one address. 0 is no limit.
   * @default 0
   */
  readonly rateLimit?: number | undefined
  /**
   * Whether Prometheus may read `GET /metrics`: `on` with the access rules of the hub, which on a locked hub need a key with the
   * scope `metrics` or `read`; `open` without credentials, for a hub whose network admits no others; `off` not at all.
   * @default 'on'
   */
  readonly metrics?: 'on' | 'open' | 'off' | undefined
  /**
   * Settings of the process that `GET /settings` shows beside the hub's own. They must hold no secret.
   * @default {}
   */
  readonly settings?: object | undefined
  /**
   * The worker processes of the server, if there are several: limits hold over all of them, and `/stats` and `/metrics` are of all.
   * @internal
   */
  readonly workers?: WorkerGroup | undefined
  /** The guard of the server's connections: `stats()` counts what it refuses, and the log reports it. */
  readonly connections?: ConnectionGuard | undefined
  /**
   * Whether the app answers requests below `prefix` that no route matches. Fastify's own answer and log line repeat the URL with its
   * query, which may hold a ticket. Fastify allows one handler: set it to false if the host sets its own for the same prefix later.
   * @default true, unless the host has set its own already
   */
  readonly handleNotFound?: boolean | undefined
}

const OPTIONS = [
  'hub',
  'corsOrigins',
  'authentication',
  'loopbackOnly',
  'rateLimit',
  'connections',
  'handleNotFound',
  'metrics',
  'settings',
  'workers'
]

const METRICS = ['on', 'open', 'off']

/** At most how often refused connections are logged, in milliseconds. */
const REPORT_INTERVAL = 10_000

/** The standalone hub as one plugin: the hub, its HTTP API and the console. `server.ts` runs it as a process. */
async function app(instance: FastifyInstance, options: HubAppOptions): Promise<void> {
  const hasHub = instance.hasDecorator('sse')
  try {
    checkNames('hubApp', options, OPTIONS, REGISTER_OPTIONS)
    if (hasHub && options.hub !== undefined)
      throw new InvalidOptionError('hubApp.hub', 'is not allowed beside a hub that is registered already')
    if (options.metrics !== undefined && !METRICS.includes(options.metrics))
      throw new InvalidOptionError('hubApp.metrics', `is one of ${METRICS.join(', ')}`)
    await setUp(instance, options, hasHub)
  } catch (error) {
    // Fastify does not always close an app that did not start. The host's own hub stays open.
    if (hasHub) throw error
    if (instance.hasDecorator('sse')) {
      const report = (err: unknown) => instance.log.error({ err }, 'a hub that did not start could not be closed')
      await instance.sse.dispose().catch(report)
    } else await closeParts(options.hub ?? {}, instance.log)
    throw error
  }
}

async function setUp(instance: FastifyInstance, options: HubAppOptions, hasHub: boolean): Promise<void> {
  const { prefix = '', hub = {}, corsOrigins = [] } = options
  const keys =
    options.authentication instanceof Authentication || options.authentication === undefined
      ? options.authentication
      : await authentication(instance, { ...options.authentication, origins: corsOrigins })
  const isOpen = keys === undefined
  const access = isOpen ? openAccess() : protectedAccess(keys)
  // Options of the hub win over those that the app derives from its own.
  if (!hasHub) await instance.register(sseHub, { ...access.identity, onlineCounts: isOpen, ...hub })
  if (options.workers !== undefined) (instance.sse as unknown as Hub).manager.registry.shared = options.workers.counts
  await instance.register(activityLog)
  if (options.connections !== undefined) reportRefusals(instance, options.connections)
  // A hub of the host has its own `authenticate`; only credentials that the app itself checks replace it.
  const identity = hasHub && !isOpen ? access.identity : {}
  await instance.register(
    (scope) => serve(scope, options, keys, { ...access.routes, ...identity, settings: options.settings }),
    { prefix }
  )
}

/** Registers everything that is served below the prefix. */
async function serve(
  scope: FastifyInstance,
  options: HubAppOptions,
  keys: Authentication | undefined,
  routes: HubRoutesOptions
): Promise<void> {
  const { hub = {}, corsOrigins = [], loopbackOnly = true, rateLimit: perSecond = 0 } = options
  const isOpen = keys === undefined
  if (isOpen && loopbackOnly) scope.addHook('onRequest', before(checkCaller))
  if (corsOrigins.length > 0) await scope.register(corsPlugin, { origins: corsOrigins })
  if (options.handleNotFound !== false) handleNotFound(scope, options)
  await scope.register(documentationRoute, { basePath: scope.prefix, isOpen, version: packageVersion() })
  await scope.register(async (api) => {
    // Before the body is read and credentials are checked, so that a refusal is cheap.
    api.addHook(
      'onRequest',
      before((request) => checkOrigin(request, corsOrigins))
    )
    api.addHook('onError', async (_request, reply, error) => {
      if (error.statusCode === 401) reply.header('www-authenticate', 'Bearer')
    })
    const guards: onRequestHookHandler[] = isOpen
      ? []
      : [before((request) => identifiesSubscribers(request.routeOptions) || keys.requireCredentials(request))]
    const counts = options.workers?.counts
    if (perSecond > 0 && !isOpen) limitFailures(api, { perSecond, clock: hub.clock, counts })
    if (perSecond > 0) {
      const callerOf = (request: FastifyRequest) => keys?.nameOfPublisher(request)
      guards.unshift(await rateLimit(api, { perSecond, callerOf, counts }))
    }
    guardMutations(api, guards)
    const { metrics = 'on', workers } = options
    await api.register(hubRoutes, { ...routes, workers })
    const mayRead = keys && guardWith(permitWith(keys.authorize))(() => [{ verb: 'metrics' }])
    const onRequest = mayRead === undefined || metrics === 'open' ? [] : [mayRead]
    if (metrics !== 'off') await api.register(metricsRoute, { onRequest, workers })
    // The demo task publishes. On a protected hub that needs a publisher's credentials, which an event source cannot send.
    if (isOpen) await api.register(demoTask)
  })
  plainProbeRoute(scope)
  await scope.register(consoleUi, { enabled: true })
  await scope.register(documentationPage)
}

/** Sets a handler for requests that no route matches, unless the host has set its own for the same prefix. */
function handleNotFound(scope: FastifyInstance, options: HubAppOptions): void {
  try {
    scope.setNotFoundHandler(({ method, url }) => {
      // Without the query, which may hold a ticket.
      throw new NotFoundError(`${method} ${url.split('?', 1)[0]}`)
    })
  } catch (error) {
    // Fastify has no other way to ask.
    if (options.handleNotFound || !(error as Error).message.startsWith('Not found handler already set')) throw error
  }
}

/** Counts the refusals of the guard, and logs them once in ten seconds, not per connection. */
function reportRefusals(app: FastifyInstance, guard: ConnectionGuard): void {
  let refused: Partial<Refused> | undefined
  guard.onRefusal = (reason) => {
    app.sse.countRefusal(reason)
    if (refused === undefined) {
      refused = {}
      setTimeout(() => {
        app.log.warn({ refused }, 'connections or requests were refused')
        refused = undefined
      }, REPORT_INTERVAL).unref()
    }
    refused[reason] = (refused[reason] ?? 0) + 1
  }
}

interface Access {
  readonly identity: Pick<SseHubOptions, 'authenticate' | 'authorizeTopic'>
  readonly routes: HubRoutesOptions
}

/** Trusts the user in the query: for a hub that only this machine can reach, or that is behind an authenticating proxy. */
function openAccess(): Access {
  return {
    identity: { authenticate: identityOfQuery, authorizeTopic: () => true },
    routes: { authorize: () => true }
  }
}

function protectedAccess(keys: Authentication): Access {
  const { authenticate, authorizeTopic, nameOfPublisher: publisherOf, ...rest } = keys
  const { authorize, issueTicket, revokeTickets } = rest
  return {
    identity: { authenticate, authorizeTopic },
    routes: { authorize, publisherOf, issueTicket, revokeTickets }
  }
}

function identityOfQuery(request: FastifyRequest): StreamIdentity | undefined {
  const { user } = request.query as { user?: unknown }
  return typeof user === 'string' ? { user } : undefined
}

/** Probes are exempt: they often name no host, and a foreign page cannot use their response. */
function checkCaller(request: FastifyRequest): void {
  if (!isProbe(request)) checkHost(request)
}

/** Creates a synchronous hook, without the cost of a promise per call. */
function before(check: (request: FastifyRequest) => unknown): onRequestHookHandler {
  return (request, _reply, done) => {
    try {
      check(request)
    } catch (error) {
      done(error as Error)
      return
    }
    done()
  }
}

/** Methods of routes that change something. */
const CHANGING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** Runs hooks before the body is read, on all routes that change state. */
function guardMutations(api: FastifyInstance, guards: readonly onRequestHookHandler[]): void {
  api.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    if (methods.some((method) => CHANGING.has(method))) {
      route.onRequest = [...[route.onRequest ?? []].flat(), ...guards]
    }
  })
}

export const hubApp = fp(app, { fastify: '5.x', name: 'fastify-sse-hub-app' })
