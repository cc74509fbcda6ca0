import type { FastifyInstance } from 'fastify'
import type { Authenticate, AuthorizeTopic } from '../plugins/sse-hub.ts'
import { InvalidOptionError } from '../services/errors.ts'
import { checkFunction, checkNames, wholeNumber } from '../services/option-checks.ts'
import { describe } from '../services/text.ts'
import { boundBodies } from './body-bound.ts'
import { demoTaskRoute } from './demo-task.ts'
import { eventStreamRoute } from './events.ts'
import { type Authorize, guardWith } from './guard.ts'
import { takeJsonOnly } from './json-body.ts'
import { type PublisherOf, publishRoutes } from './publish.ts'
import { serializerCompiler } from './serialization.ts'
import { healthRoutes, statsRoute } from './status.ts'
import { type IssueTicket, type RevokeTickets, revokeTicketsRoute, ticketsRoute } from './tickets.ts'
import { userRoutes } from './users.ts'
import { validatorCompiler } from './validation.ts'

export interface HubRoutesOptions {
  /** Under which path the routes are mounted. Fastify's own option. */
  readonly prefix?: string
  /**
   * Tells whose stream `GET /events` is.
   * @default what the hub was registered with
   */
  readonly authenticate?: Authenticate | undefined
  /**
   * Decides about the topics of `GET /events?topics=`.
   * @default what the hub was registered with; without any, no topic may be asked for
   */
  readonly authorizeTopic?: AuthorizeTopic | undefined
  /**
   * Decides who may publish, close streams, and read presence, history and counts. Asked in `onRequest`, before the body is
   * read, so a host that authenticates by a hook does it in `onRequest`, too. For a batch it is asked first with the empty
   * target (may the caller publish anything?), and then for the target of each event.
   * @default undefined: those routes do not exist
   */
  readonly authorize?: Authorize | undefined
  /**
   * Which publisher sent a request, by a name that stays: idempotency keys of different publishers never meet. An
   * `Authentication` has such a function.
   * @default undefined: all callers are one publisher
   */
  readonly publisherOf?: PublisherOf | undefined
  /**
   * Makes tickets for `POST /tickets`. An `Authentication` has such a function.
   * @default undefined: the route does not exist
   */
  readonly issueTicket?: IssueTicket | undefined
  /**
   * Revokes tickets for `DELETE /users/:user/tickets`. An `Authentication` has such a function.
   * @default undefined: the route does not exist
   */
  readonly revokeTickets?: RevokeTickets | undefined
  /**
   * Whether `GET /tasks/demo` exists. It publishes for every caller, so that it is only for hubs that anybody may use.
   * @default false
   */
  readonly demo?: boolean | undefined
  /**
   * How long a step of the demo task takes, in milliseconds.
   * @default 1_000
   */
  readonly demoStep?: number | undefined
}

/** An hour: more is no demo. */
const MAX_DEMO_STEP = 3_600_000
const FUNCTIONS = [
  ...(['authenticate', 'authorizeTopic', 'authorize', 'publisherOf'] as const),
  ...(['issueTicket', 'revokeTickets'] as const)
]
/** What Fastify itself adds to a plugin's options. */
const REGISTER_OPTIONS = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']

/** @throws {InvalidOptionError} */
function checkOptions(options: HubRoutesOptions): void {
  checkNames('hubRoutes', options, [...FUNCTIONS, 'demo', 'demoStep'], REGISTER_OPTIONS)
  for (const name of FUNCTIONS) checkFunction(`hubRoutes.${name}`, options[name])
  const { demo, demoStep } = options
  if (demo !== undefined && typeof demo !== 'boolean')
    throw new InvalidOptionError('hubRoutes.demo', `is true or false; got ${describe(demo)}`)
  if (demoStep !== undefined) wholeNumber('hubRoutes.demoStep', demoStep, 1, MAX_DEMO_STEP)
}

/** The HTTP API of the hub, for a host to mount under a prefix: closed unless it is told who may publish. */
export async function hubRoutes(app: FastifyInstance, options: HubRoutesOptions): Promise<void> {
  checkOptions(options)
  const { authenticate, authorizeTopic, authorize, publisherOf, demo = false, demoStep } = options
  const { issueTicket, revokeTickets } = options
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  describeAsWritten(app)
  takeJsonOnly(app)
  boundBodies(app)
  eventStreamRoute(app, { authenticate, authorizeTopic })
  healthRoutes(app)
  if (issueTicket !== undefined) ticketsRoute(app, issueTicket)
  if (revokeTickets !== undefined) revokeTicketsRoute(app, revokeTickets)
  if (demo) demoTaskRoute(app, { step: demoStep })
  if (authorize === undefined) return
  const guard = guardWith(authorize)
  publishRoutes(app, guard, publisherOf)
  userRoutes(app, guard)
  statsRoute(app, guard)
}

/** A host's transform for `@fastify/swagger` may take no other schemas than Zod's; those of the hub need none. */
function describeAsWritten(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, ...{ swaggerTransform: false } }
  })
}
