import type { FastifyInstance } from 'fastify'
import type { Authenticate, AuthorizeTopic } from '../plugins/sse-hub.ts'
import { checkFunction, checkNames, checkObject, REGISTER_OPTIONS } from '../services/option-checks.ts'
import type { WorkerGroup } from '../services/worker-group.ts'
import { accessRoute } from './access.ts'
import { boundBodies } from './body-bound.ts'
import { eventStreamRoute } from './events.ts'
import { type Authorize, guardWith, permitWith } from './guard.ts'
import { historyRoutes } from './histories.ts'
import { useHubSchemas } from './hub-schemas.ts'
import { inboxRoutes } from './inboxes.ts'
import { takeJsonOnly } from './json-body.ts'
import { takeJsonLines } from './json-lines.ts'
import { ownRoutes } from './me.ts'
import { type PublisherOf, publishRoutes } from './publish.ts'
import { healthRoutes, statsRoutes } from './status.ts'
import { streamTopicsRoute } from './stream-topics.ts'
import { type IssueTicket, type RevokeTickets, revokeTicketsRoute, ticketsRoute } from './tickets.ts'
import { topicRoutes } from './topics.ts'
import { userRoutes } from './users.ts'

export interface HubRoutesOptions {
  /** Path under which the routes are mounted. Fastify's own option. */
  readonly prefix?: string
  /**
   * Identifies the user of `GET /events` and of `/me`.
   * @default the `authenticate` of the hub
   */
  readonly authenticate?: Authenticate | undefined
  /**
   * Decides about the topics of `GET /events?topics=`.
   * @default the `authorizeTopic` of the hub; without one a client may request no topics
   */
  readonly authorizeTopic?: AuthorizeTopic | undefined
  /**
   * Decides who may publish, close streams, and read presence, history and counts. It runs in `onRequest`, before the body is
   * read, so a host that authenticates by a hook must do so in `onRequest`, too. For a batch it runs first with the empty
   * target (may the caller publish at all?), and then with the target of each event.
   * @default undefined: those routes do not exist
   */
  readonly authorize?: Authorize | undefined
  /**
   * Names the publisher of a request, by a stable name: idempotency keys of different publishers never collide. An
   * `Authentication` has such a function.
   * @default undefined: all callers are one publisher
   */
  readonly publisherOf?: PublisherOf | undefined
  /**
   * Issues tickets for `POST /tickets`. An `Authentication` has such a function.
   * @default undefined: the route does not exist
   */
  readonly issueTicket?: IssueTicket | undefined
  /**
   * Revokes tickets for `DELETE /users/:user/tickets`. An `Authentication` has such a function.
   * @default undefined: the route does not exist
   */
  readonly revokeTickets?: RevokeTickets | undefined
  /**
   * Settings of the host that `GET /settings` shows beside the hub's own. They must hold no secret.
   * @default {}
   */
  readonly settings?: object | undefined
  /** @internal The workers of the standalone server. */
  readonly workers?: WorkerGroup | undefined
}

const FUNCTIONS = [
  ...(['authenticate', 'authorizeTopic', 'authorize', 'publisherOf'] as const),
  ...(['issueTicket', 'revokeTickets'] as const)
]

/** @throws {InvalidOptionError} */
function checkOptions(options: HubRoutesOptions): void {
  checkNames('hubRoutes', options, [...FUNCTIONS, 'settings', 'workers'], REGISTER_OPTIONS)
  checkObject('hubRoutes.settings', options.settings)
  for (const name of FUNCTIONS) checkFunction(`hubRoutes.${name}`, options[name])
}

/**
 * The HTTP API of the hub, to mount under a prefix. Without `authorize` the routes to publish, close streams and read are
 * absent.
 */
export async function hubRoutes(app: FastifyInstance, options: HubRoutesOptions): Promise<void> {
  checkOptions(options)
  const { authenticate, authorizeTopic, authorize, publisherOf } = options
  const { issueTicket, revokeTickets, settings, workers } = options
  useHubSchemas(app)
  takeJsonOnly(app)
  takeJsonLines(app)
  boundBodies(app)
  eventStreamRoute(app, { authenticate, authorizeTopic })
  streamTopicsRoute(app, { authenticate, authorizeTopic })
  ownRoutes(app, { authenticate })
  healthRoutes(app)
  if (issueTicket !== undefined) ticketsRoute(app, issueTicket)
  if (revokeTickets !== undefined) revokeTicketsRoute(app, revokeTickets)
  if (authorize === undefined) return
  const permit = permitWith(authorize)
  const guard = guardWith(permit)
  publishRoutes(app, permit, publisherOf)
  accessRoute(app, permit, { hasTickets: issueTicket !== undefined })
  userRoutes(app, permit)
  topicRoutes(app, guard)
  historyRoutes(app, guard)
  inboxRoutes(app, guard)
  statsRoutes(app, guard, { settings, workers })
}
