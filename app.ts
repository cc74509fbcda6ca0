import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { type Authentication, type AuthenticationOptions, authentication } from './plugins/authentication.ts'
import type { ConnectionGuard } from './plugins/connections/connection-guard.ts'
import { corsPlugin } from './plugins/cors.ts'
import { demoUiPlugin } from './plugins/demo-ui.ts'
import { limitFailures } from './plugins/failed-authentications.ts'
import { checkHost, checkOrigin } from './plugins/origin.ts'
import { rateLimit } from './plugins/rate-limit.ts'
import { type SseHubOptions, type StreamIdentity, sseHub } from './plugins/sse-hub.ts'
import { type HubRoutesOptions, hubRoutes } from './routes/hub-routes.ts'
import { isProbe, plainProbeRoute } from './routes/status.ts'
import { NotFoundError } from './services/errors.ts'
import { closeParts } from './services/hub/close-parts.ts'
import type { Refused } from './services/hub/refusals.ts'

export interface HubAppOptions {
  /** What the hub itself is told. */
  readonly hub?: SseHubOptions | undefined
  /** Origins whose pages may use the hub; none but its own if left out. */
  readonly corsOrigins?: readonly string[] | undefined
  /** Who may do what. If left out the hub is open: whoever reaches it may read and send. */
  readonly authentication?: Omit<AuthenticationOptions, 'origins'> | undefined
  /**
   * Whether an open hub answers by the names of this machine alone, so that no foreign page can reach it by a name of its own.
   * @default true
   */
  readonly loopbackOnly?: boolean | undefined
  /**
   * How many calls that publish, close, or make a ticket are taken a second: of one key, wherever it is used, and of one address
   * without a key. As many requests with bad credentials are taken of one address, whatever they ask for. 0 is no limit.
   * @default 0
   */
  readonly rateLimit?: number | undefined
  /** What guards the connections of the server: what it refuses is counted in `stats()`, and logged now and then. */
  readonly connections?: ConnectionGuard | undefined
}

/** At most how often refused connections are logged, in milliseconds. */
const REPORT_INTERVAL = 10_000

/** The standalone hub as one plugin: the hub, its HTTP API and the demo page. Everything about the process is in `server.ts`. */
async function app(instance: FastifyInstance, options: HubAppOptions): Promise<void> {
  try {
    await setUp(instance, options)
  } catch (error) {
    // An app that did not start is not always closed.
    if (instance.hasDecorator('sse')) {
      const report = (err: unknown) => instance.log.error({ err }, 'a hub that did not start could not be closed')
      await instance.sse.dispose().catch(report)
    } else await closeParts(options.hub ?? {}, instance.log)
    throw error
  }
}

async function setUp(instance: FastifyInstance, options: HubAppOptions): Promise<void> {
  const { hub = {}, corsOrigins = [], loopbackOnly = true, rateLimit: perSecond = 0 } = options
  const keys =
    options.authentication && (await authentication(instance, { ...options.authentication, origins: corsOrigins }))
  const isOpen = keys === undefined
  if (isOpen && loopbackOnly) instance.addHook('onRequest', before(checkCaller))
  if (corsOrigins.length > 0) await instance.register(corsPlugin, { origins: corsOrigins })
  instance.setNotFoundHandler(({ method, url }) => {
    // Without the query, which may hold a ticket.
    throw new NotFoundError(`${method} ${url.split('?', 1)[0]}`)
  })
  const { routes, ...access } = keys === undefined ? open() : locked(keys)
  // What the hub is told takes the place of what the app would tell it, for every route.
  const identity = { ...access.identity, onlineCounts: isOpen, ...hub }
  await instance.register(sseHub, identity)
  if (options.connections !== undefined) reportRefusals(instance, options.connections)
  await instance.register(async (api) => {
    // Before anything is read or looked up: a refusal costs next to nothing.
    api.addHook(
      'onRequest',
      before((request) => checkOrigin(request, corsOrigins))
    )
    api.addHook('onError', async (_request, reply, error) => {
      if (error.statusCode === 401) reply.header('www-authenticate', 'Bearer')
    })
    const guards: onRequestHookHandler[] = keys === undefined ? [] : [before(keys.requireCredentials)]
    if (perSecond > 0 && keys !== undefined) limitFailures(api, { perSecond, clock: hub.clock })
    if (perSecond > 0) {
      const callerOf = (request: FastifyRequest) => keys?.nameOfPublisher(request)
      guards.unshift(await rateLimit(api, { perSecond, callerOf }))
    }
    guardMutations(api, guards)
    // The demo task publishes. On a locked hub that takes a publisher's credentials, which an event source cannot send.
    await api.register(hubRoutes, { ...routes, demo: isOpen })
  })
  plainProbeRoute(instance)
  await instance.register(demoUiPlugin)
}

/** Counts what the guard refuses. An attack is one line of the log in ten seconds, not one for each connection. */
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

/** Anybody is who he says he is: for a hub that only this machine can reach, or that stands behind a proxy that checks. */
function open(): Access {
  return {
    identity: { authenticate: identityOfQuery, authorizeTopic: () => true },
    routes: { authorize: () => true }
  }
}

function locked(keys: Authentication): Access {
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

/** A probe tells nothing that a foreign page could use, and names no host. */
function checkCaller(request: FastifyRequest): void {
  if (!isProbe(request)) checkHost(request)
}

/** A hook without a promise: it runs before every call. */
function before(check: (request: FastifyRequest) => void): onRequestHookHandler {
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

/** Puts hooks before the bodies of all routes that change something. */
function guardMutations(api: FastifyInstance, guards: readonly onRequestHookHandler[]): void {
  api.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    if (methods.some((method) => method === 'POST' || method === 'DELETE')) {
      route.onRequest = [...[route.onRequest ?? []].flat(), ...guards]
    }
  })
}

export const hubApp = fp(app, { fastify: '5.x', name: 'fastify-sse-hub-app' })
