import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { describe, isName } from '../services/channel.ts'
import type { CloseReason } from '../services/close-reason.ts'
import type { DrainOptions } from '../services/drain-delay.ts'
import { InvalidDraftError, InvalidOptionError, TopicForbiddenError, UnauthenticatedError } from '../services/errors.ts'
import type { EventMap } from '../services/event.ts'
import type { EventStream } from '../services/event-stream.ts'
import { Hub } from '../services/hub.ts'
import type { Opening } from '../services/opening.ts'
import { HUB_OPTION_NAMES, type HubOptions } from '../services/options.ts'
import { closeParts } from '../services/passed-parts.ts'
import { feed, type Producer } from '../services/producer.ts'
import type { Refusal } from '../services/refusals.ts'
import { isThenable } from '../services/thenable.ts'
import type { AnyReply, AnyRequest } from './any-server.ts'
import { ConnectionPacer } from './connection-pacer.ts'
import { Http2Sessions } from './http2-sessions.ts'
import { checkRequest, openEventStream, refuse } from './open-event-stream.ts'

/** Who a stream is for: what `authenticate` finds out, or the host knows. */
export interface StreamIdentity {
  /** A well-formed string of 1 to 256 bytes. Anything else is answered 401. */
  readonly user: string
  /** Topics that the stream listens to besides. */
  readonly topics?: readonly string[] | undefined
  /** When the identity lapses, in milliseconds since the epoch; the stream is closed by then. */
  readonly expiresAt?: number | undefined
}

/** Who is asking, or nothing if nobody is. */
export type Authenticate = (
  request: FastifyRequest
) => StreamIdentity | null | undefined | Promise<StreamIdentity | null | undefined>

/** Whether this user may listen to a topic that he asked for. */
export type AuthorizeTopic = (
  identity: StreamIdentity,
  topic: string,
  request: FastifyRequest
) => boolean | Promise<boolean>

export interface SseHubOptions extends HubOptions {
  /**
   * Tells who is asking, where `connect()` is not told and for `GET /events`. Has five seconds. If it throws, an error whose
   * `statusCode` is final (401, 403, …) is answered as it is; after any other the client is told to come back later.
   * @default undefined: `connect()` must be told
   */
  readonly authenticate?: Authenticate | undefined
  /**
   * Decides about topics that a client asks for; those that the host or `authenticate` names are granted. Has five seconds
   * for all of them.
   * @default undefined: a client may ask for none
   */
  readonly authorizeTopic?: AuthorizeTopic | undefined
  /**
   * Admits new connections at the pace at which they can be served, so that thousands of event sources that return at once do
   * not delay the open streams. It takes over the `connection` listeners of the app's HTTP server, so a host has to ask for it;
   * the standalone hub does. Has no effect on a server that speaks TLS.
   * @default false
   */
  readonly paceConnections?: boolean | undefined
}

/** How a stream begins. A last event ID that the client brings wins over `from` and `last`. */
export interface ConnectOptions {
  /** Begins with the oldest event that is held for the stream, so that a new device finds what is there. */
  readonly from?: 'oldest' | undefined
  /** Begins with the newest so many events. */
  readonly last?: number | undefined
  /** Begins after this cursor, whatever the client brings. */
  readonly lastEventId?: string | undefined
  /** Topics that the client asks for itself: `authorizeTopic` decides. */
  readonly requestedTopics?: readonly string[] | undefined
  /** Instead of the hub's own `authenticate`. */
  readonly authenticate?: Authenticate | undefined
  /** Instead of the hub's own `authorizeTopic`. */
  readonly authorizeTopic?: AuthorizeTopic | undefined
}

export interface FollowOptions {
  /** Who the stream belongs to, for limits, presence and `close()`. */
  readonly user?: string | undefined
}

/** Augment this with your events, `{ 'order.shipped': { id: number } }`, and a wrong name or payload does not compile. */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be merged with
export interface SseHubEvents {}

/** The events that the host has declared; any, if it has declared none. */
export type RegisteredEvents = keyof SseHubEvents extends never ? EventMap : SseHubEvents

declare module 'fastify' {
  interface FastifyInstance {
    sse: SseHub<RegisteredEvents>
  }
}

/** How long the host may take to say who is asking, and then which topics he may have, in milliseconds. */
const IDENTITY_TIMEOUT = 5_000
const NO_ANSWER = Symbol('no answer')
/** Of the statuses that blame the client, those that ask for patience: timeout, too early, too many. */
const PASSING = new Set([408, 425, 429])
/** What Fastify itself adds to a plugin's options. */
const REGISTER_OPTIONS = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']
/** One for all streams that have none. */
const NO_TOPICS: string[] = []

const REFUSALS_BY_STATUS: Partial<Record<number, Refusal>> = {
  401: 'unauthenticated',
  403: 'forbidden',
  429: 'rateLimited'
}

const OWN_OPTIONS = ['authenticate', 'authorizeTopic', 'paceConnections']

/** The hub as Fastify has it, `fastify.sse`: a {@link Hub}, and how its streams are opened on replies. */
export class SseHub<Events extends object = EventMap> extends Hub<Events> {
  readonly #app: FastifyInstance
  readonly #authenticate: Authenticate | undefined
  readonly #authorizeTopic: AuthorizeTopic | undefined
  readonly #sessions = new Http2Sessions()

  constructor(app: FastifyInstance, options: SseHubOptions) {
    super(options, app.log)
    this.#app = app
    this.#authenticate = options.authenticate
    this.#authorizeTopic = options.authorizeTopic
  }

  /**
   * Opens the caller's stream on a reply. Return it from the handler; do nothing with the reply afterwards.
   *
   * Rejects, before anything is sent, with what Fastify answers as ordinary JSON: 400, 401, 403 or 406, which are final for
   * an event source. What is transient it is told in a stream that ends at once. Resolves with undefined when there is no
   * stream: for `HEAD`, after a close for good (204), and for a refusal.
   * @param options whose stream it is, and how it begins. Without a `user`, `authenticate` is asked.
   */
  async connect(
    request: AnyRequest,
    reply: AnyReply,
    options: StreamIdentity & ConnectOptions
  ): Promise<EventStream | undefined>
  async connect(request: AnyRequest, reply: AnyReply, options?: ConnectOptions): Promise<EventStream | undefined>
  async connect(
    request: AnyRequest,
    reply: AnyReply,
    options: Partial<StreamIdentity> & ConnectOptions = {}
  ): Promise<EventStream | undefined> {
    checkRequest(request, reply)
    const { from, last, lastEventId, requestedTopics = [] } = options
    // A `user` that is undefined is a mistake of the host's, and must not become somebody else.
    const authenticate = options.authenticate ?? this.#authenticate
    const identity = 'user' in options ? options : await this.#ask('authenticate', () => authenticate?.(request))
    if (identity === NO_ANSWER) return this.refuse(request, reply, 'error')
    if (!isIdentity(identity)) throw new UnauthenticatedError()
    const granted = allTopics(identity.topics ?? [])
    const topics = allTopics(granted, requestedTopics)
    const opening = { user: identity.user, topics, expiresAt: identity.expiresAt, from, last, lastEventId }
    this.keeper.check(opening)
    const authorizeTopic = options.authorizeTopic ?? this.#authorizeTopic
    const asked = topics.slice(granted.length)
    const forbidden =
      asked.length === 0
        ? undefined
        : await this.#ask('authorizeTopic', () => firstForbidden(asked, identity, request, authorizeTopic))
    if (forbidden === NO_ANSWER) return this.refuse(request, reply, 'error')
    if (forbidden !== undefined) throw new TopicForbiddenError(JSON.stringify(forbidden))
    return this.#open(request, reply, opening)
  }

  /**
   * Opens a stream that comes to an end. It follows a topic, from the oldest event that is held to the first one that is
   * `final`: a client that is cut in the middle resumes in the middle. Or it is fed by an iterable or a Readable of the
   * host's, no faster than the client takes it; then it has no history, and a client that is cut begins anew.
   */
  async follow(
    request: AnyRequest,
    reply: AnyReply,
    source: string | Producer,
    { user }: FollowOptions = {}
  ): Promise<EventStream | undefined> {
    let stream: EventStream | undefined
    try {
      checkRequest(request, reply)
      const topics = typeof source === 'string' ? [source] : []
      const opened = this.#open(request, reply, { user: user ?? null, topics, follows: true, from: 'oldest' })
      stream = opened instanceof Promise ? await opened : opened
    } finally {
      // Nobody is going to read it, and the file behind it would stay open.
      if (stream === undefined && source instanceof Readable) source.destroy()
    }
    if (stream !== undefined && typeof source !== 'string') {
      feed(stream, source, this.options.maxEventBytes).catch((error) => {
        this.#app.log.error({ err: error, stream: stream.id }, 'what a stream was fed with failed')
      })
    }
    return stream
  }

  /** Ends every stream, and then the HTTP/2 sessions that they came on: a browser would keep them, and the server, open. */
  override async drain(options?: DrainOptions): Promise<void> {
    await super.drain(options)
    this.#sessions.close()
  }

  #open(
    request: FastifyRequest,
    reply: FastifyReply,
    opening: Opening
  ): EventStream | undefined | Promise<EventStream | undefined> {
    this.#sessions.add(request.raw)
    return openEventStream(this.keeper, request, reply, opening)
  }

  /** @internal Answers a request for a stream with a stream that ends at once, so that its event source comes back later. */
  refuse(request: FastifyRequest, reply: FastifyReply, reason: CloseReason): undefined {
    refuse(this.keeper, request, reply, reason)
  }

  /**
   * What the host answers. If it does not, in time or at all, that will pass, and is no reason to send an event source away
   * for good; what it throws with a status that is final is its answer, and is thrown.
   */
  async #ask<Answer>(who: string, question: () => Answer | Promise<Answer>): Promise<Answer | typeof NO_ANSWER> {
    let stop: (() => void) | undefined
    try {
      const answer = question()
      if (!isThenable(answer)) return answer
      const tooLate = new Promise<never>((_resolve, reject) => {
        const refusal = new Error(`no answer in ${IDENTITY_TIMEOUT} ms`)
        stop = this.options.clock.every(IDENTITY_TIMEOUT, () => reject(refusal))
      })
      return await Promise.race([answer, tooLate])
    } catch (error) {
      if (isFinal(error)) throw error
      this.#app.log.error({ err: error }, `${who} failed; the client is told to come back later`)
      return NO_ANSWER
    } finally {
      stop?.()
    }
  }
}

/** Whether an error has a status that says no, and not only "not now". */
function isFinal(error: unknown): boolean {
  const { statusCode, status = statusCode } = (error ?? {}) as { statusCode?: unknown; status?: unknown }
  return typeof status === 'number' && status >= 400 && status < 500 && !PASSING.has(status)
}

/** The topics of some lists, each once, in their order. A string is no list: it would fall into its letters. */
function allTopics(...lists: unknown[]): string[] {
  const wrong = lists.find((list) => !Array.isArray(list))
  if (wrong !== undefined) throw new InvalidDraftError(`topics are an array of names; got ${describe(wrong)}`)
  const names = lists.flat() as string[]
  return names.length === 0 ? NO_TOPICS : [...new Set(names)]
}

/** The first topic that the client may not have, if there is one. */
async function firstForbidden(
  topics: readonly string[],
  identity: StreamIdentity,
  request: FastifyRequest,
  authorizeTopic: AuthorizeTopic | undefined
): Promise<string | undefined> {
  for (const topic of topics) if ((await authorizeTopic?.(identity, topic, request)) !== true) return topic
  return undefined
}

/** Only a well-formed string is a user: no number, no `true`, nothing that a mistake in the host's code could leave there. */
function isIdentity(value: unknown): value is StreamIdentity {
  return typeof value === 'object' && value !== null && isName((value as StreamIdentity).user)
}

async function sseHubPlugin(app: FastifyInstance, options: SseHubOptions): Promise<void> {
  let hub: SseHub<RegisteredEvents> | undefined
  try {
    checkOptionNames(options)
    const { paceConnections = false } = options
    if (typeof paceConnections !== 'boolean')
      throw new InvalidOptionError('paceConnections', `is true or false; got ${describe(paceConnections)}`)
    hub = new SseHub<RegisteredEvents>(app, options)
    await setUp(app, hub, paceConnections)
  } catch (error) {
    // An app that did not start is not always closed.
    await giveUp(app, options, hub)
    throw error
  }
}

async function setUp(app: FastifyInstance, hub: SseHub<RegisteredEvents>, paceConnections: boolean): Promise<void> {
  app.decorate('sse', hub)
  await hub.start()
  app.addHook('onError', (_request, _reply, { code, statusCode = 0 }, done) => {
    const reason = REFUSALS_BY_STATUS[statusCode]
    // Others are the host's.
    if (reason !== undefined && code?.startsWith('SSE_HUB_ERR_')) hub.countRefusal(reason)
    done()
  })
  const pacer = paceConnections
    ? ConnectionPacer.pace(app.server, () => hub.keeper.isCatchingUp, hub.options.clock)
    : undefined
  // Before Fastify waits for open connections: they are ours, and would never close by themselves.
  app.addHook('preClose', () => {
    pacer?.open()
    return hub.drain()
  })
  app.addHook('onClose', () => hub.dispose())
}

/** Closes all that the hub took, or would have taken. */
async function giveUp(
  app: FastifyInstance,
  options: SseHubOptions,
  hub: SseHub<RegisteredEvents> | undefined
): Promise<void> {
  // A plugin that is registered twice by mistake must not close the log of the first hub.
  const isShared = app.sse !== undefined && app.sse !== hub && app.sse.options.log === options.log
  if (isShared) return
  if (hub === undefined) return closeParts(options, app.log)
  await hub.dispose().catch((error) => app.log.error({ err: error }, 'a hub that did not start could not be closed'))
}

function checkOptionNames(options: object): void {
  const known = [...HUB_OPTION_NAMES, ...OWN_OPTIONS, ...REGISTER_OPTIONS]
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new InvalidOptionError(unknown, `is none; there are ${known.slice(0, -REGISTER_OPTIONS.length).join(', ')}`)
}

/** The plugin: decorates the instance with `fastify.sse`. */
export const sseHub = fp(sseHubPlugin, { fastify: '5.x', name: 'fastify-sse-hub' })
