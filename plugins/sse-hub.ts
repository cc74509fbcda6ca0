import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AuthenticationUnavailableError, InvalidOptionError } from '../services/errors.ts'
import { topicChannel } from '../services/events/channel.ts'
import type { EventMap } from '../services/events/draft.ts'
import { closeParts } from '../services/hub/close-parts.ts'
import type { DrainOptions } from '../services/hub/drain-delay.ts'
import { Hub } from '../services/hub/hub.ts'
import type { Refusal } from '../services/hub/refusals.ts'
import type { StreamRejection } from '../services/streams/admission.ts'
import type { EventStream } from '../services/streams/event-stream.ts'
import { feed, isProducer, type Producer } from '../services/streams/feed.ts'
import type { Stream } from '../services/streams/stream.ts'
import type { StreamRequest } from '../services/streams/stream-request.ts'
import { describe } from '../services/text.ts'
import type { AnyReply, AnyRequest } from './any-server.ts'
import { ConnectionPacer } from './connection-pacer.ts'
import { LostPeers } from './connections/lost-peers.ts'
import { NO_ANSWER } from './host-questions.ts'
import { Http2Sessions } from './http2-sessions.ts'
import { IdentityCheck } from './identity-check.ts'
import { checkRequest, openEventStream, refuse } from './open-event-stream.ts'
import {
  type Authenticate,
  type AuthorizeTopic,
  allTopics,
  type ConnectOptions,
  checkConnectOptions,
  checkFollowOptions,
  checkPluginOptions,
  checkStreamOptions,
  type FollowOptions,
  type SseHubOptions,
  type StreamIdentity,
  type StreamOptions,
  topicsToAsk
} from './stream-options.ts'
import { WatchedPromise } from './watched-promise.ts'

export type {
  Authenticate,
  AuthorizeTopic,
  ConnectOptions,
  FollowOptions,
  SseHubOptions,
  StreamIdentity,
  StreamOptions
}

/** Declare your events here, `{ 'order.shipped': { id: number } }`: then a wrong name or payload does not compile. */
// biome-ignore lint/suspicious/noEmptyInterface: hosts extend it by declaration merging
export interface SseHubEvents {}

/** The events that the host has declared, or any if it has declared none. */
export type RegisteredEvents = keyof SseHubEvents extends never ? EventMap : SseHubEvents

declare module 'fastify' {
  interface FastifyInstance {
    sse: SseHub<RegisteredEvents>
  }
}

const REFUSALS_BY_STATUS: Partial<Record<number, Refusal>> = {
  401: 'unauthenticated',
  403: 'forbidden',
  429: 'rateLimited'
}

/** The decorator `fastify.sse`: a {@link Hub} that opens streams on Fastify replies. */
export class SseHub<Events extends object = EventMap> extends Hub<Events> {
  readonly #app: FastifyInstance
  readonly #identities: IdentityCheck
  readonly #sessions = new Http2Sessions()
  readonly #peers: LostPeers

  constructor(app: FastifyInstance, options: SseHubOptions) {
    super(options, app.log)
    this.#app = app
    const { clock, stallTimeout } = this.options
    this.#identities = new IdentityCheck({ clock, logger: app.log, defaults: options })
    this.#peers = new LostPeers({ clock, timeout: stallTimeout, streams: () => this.manager.registry.all() })
    this.on('close', () => {
      if (this.manager.registry.size === 0) this.#peers.pause()
    })
  }

  /**
   * Opens the caller's stream on a reply. Return it from the handler; do nothing with the reply afterwards.
   *
   * Rejects before anything is sent with an error that Fastify answers as JSON: 400, 401, 403 or 406, which are final for an
   * event source. A retryable rejection is a stream that ends at once. Resolves with undefined where no stream is opened: for
   * `HEAD`, after a close for good (204), and for a retryable rejection. When it resolves with a stream, the stream is
   * subscribed: events that are sent afterwards arrive after the welcome and the replay.
   * @param options the user of the stream, and its position. Without a `user`, `authenticate` identifies the user.
   */
  connect(request: AnyRequest, reply: AnyReply, options: StreamIdentity & ConnectOptions): Promise<Stream | undefined>
  connect(request: AnyRequest, reply: AnyReply, options?: ConnectOptions): Promise<Stream | undefined>
  connect(
    request: AnyRequest,
    reply: AnyReply,
    options: Partial<StreamIdentity> & ConnectOptions = {}
  ): Promise<Stream | undefined> {
    return this.#watch('connect', request, reply, this.#connect(request, reply, options))
  }

  /**
   * Opens a stream that follows a topic, from its oldest retained event to the first `final` one. A client whose stream is
   * cut in the middle resumes there. Return it from the handler.
   */
  follow(
    request: AnyRequest,
    reply: AnyReply,
    topic: string,
    options: FollowOptions = {}
  ): Promise<Stream | undefined> {
    return this.#watch('follow', request, reply, this.#follow(request, reply, topic, options))
  }

  /**
   * Opens a stream that an iterable or a Readable of the host feeds, at the pace of the client, and that ends with it. It has
   * no ids and no history: after a cut the client begins anew. A producer that fails ends its stream for good. Return it from
   * the handler.
   */
  stream(
    request: AnyRequest,
    reply: AnyReply,
    source: Producer,
    options: StreamOptions = {}
  ): Promise<Stream | undefined> {
    return this.#watch('stream', request, reply, this.#stream(request, reply, source, options))
  }

  /**
   * The identity of the caller, by `authenticate`: for routes of a subscriber's own, beside its streams.
   * @throws {UnauthenticatedError | AuthenticationUnavailableError}
   */
  async identify(request: AnyRequest, options: Pick<ConnectOptions, 'authenticate'> = {}): Promise<StreamIdentity> {
    const identity = await this.#identities.identify(request, options)
    if (identity === NO_ANSWER) throw new AuthenticationUnavailableError()
    this.manager.admission.check(identity)
    return identity
  }

  /** Closes every stream, and then their HTTP/2 sessions: a browser would keep them, and thus the server, open. */
  override async drain(options?: DrainOptions): Promise<void> {
    await super.drain(options)
    this.#sessions.close()
  }

  /** As of {@link Hub}. */
  override dispose(): Promise<void> {
    this.#peers.stop()
    return super.dispose()
  }

  async #connect(
    request: FastifyRequest,
    reply: FastifyReply,
    options: Partial<StreamIdentity> & ConnectOptions
  ): Promise<Stream | undefined> {
    checkConnectOptions(options)
    checkRequest(request, reply)
    const { from, last, lastEventId, requestedTopics = [] } = options
    // An explicit `user: undefined` is a mistake of the host; `authenticate` must not replace it with another user.
    const identity =
      'user' in options
        ? this.#identities.checked(options, 'connect()')
        : await this.#identities.identify(request, options)
    if (identity === NO_ANSWER) return this.#reject(request, reply)
    const granted = allTopics(identity.topics ?? [])
    const topics = allTopics(granted, requestedTopics)
    const opening = { user: identity.user, topics, expiresAt: identity.expiresAt, from, last, lastEventId }
    this.manager.admission.check(opening)
    const asked = topics.slice(granted.length)
    const { reauthorizations } = this.topicCommands
    const isAllowed = await this.#identities.authorize(request, identity, asked, options)
    if (isAllowed === NO_ANSWER) return this.#reject(request, reply)
    const rights = this.#identities.rights(request, identity, asked, options)
    const stream = await this.#open(request, reply, { ...opening, rights })
    // The rights may have been withdrawn between the answer and the opening.
    if (stream !== undefined && reauthorizations !== this.topicCommands.reauthorizations)
      void this.topicCommands.recheck(stream)
    return stream
  }

  /**
   * @internal The topics that the caller requests for an open stream of its own, in place of those requested before.
   * @throws {TopicForbiddenError} and then nothing has changed; {NotFoundError} for the stream of another user as well.
   */
  async requestTopics(
    request: FastifyRequest,
    identity: StreamIdentity,
    change: { readonly stream: string; readonly topics: readonly string[] },
    options: Pick<ConnectOptions, 'authorizeTopic'>
  ): Promise<void> {
    const { stream, topics } = change
    const requested = allTopics(topics)
    this.manager.admission.check({ user: identity.user, topics: requested, expiresAt: identity.expiresAt })
    const asked = topicsToAsk(identity.topics, requested)
    const { reauthorizations } = this.topicCommands
    const isAllowed = await this.#identities.authorize(request, identity, asked, options)
    if (isAllowed === NO_ANSWER) throw new AuthenticationUnavailableError()
    await this.topicCommands.request(stream, identity.user, requested)
    if (reauthorizations !== this.topicCommands.reauthorizations) await this.reauthorize(identity.user)
  }

  async #follow(
    request: FastifyRequest,
    reply: FastifyReply,
    topic: string,
    options: FollowOptions
  ): Promise<Stream | undefined> {
    checkFollowOptions(options)
    checkRequest(request, reply)
    topicChannel(topic)
    const { user } = options
    let opening: StreamRequest = { user: user ?? null }
    if (options.requested) {
      const identity =
        user === undefined
          ? await this.#identities.identify(request, options)
          : this.#identities.checked({ user }, 'follow()')
      if (identity === NO_ANSWER) return this.#reject(request, reply)
      this.manager.admission.check({ user: identity.user, topics: [topic], expiresAt: identity.expiresAt })
      const asked = topicsToAsk(identity.topics, [topic])
      const isAllowed = await this.#identities.authorize(request, identity, asked, options)
      if (isAllowed === NO_ANSWER) return this.#reject(request, reply)
      const rights = this.#identities.rights(request, identity, asked, options)
      opening = { user: identity.user, expiresAt: identity.expiresAt, rights }
    }
    return this.#open(request, reply, { ...opening, topics: [topic], follows: true, from: 'oldest' })
  }

  async #stream(
    request: FastifyRequest,
    reply: FastifyReply,
    source: Producer,
    options: StreamOptions
  ): Promise<Stream | undefined> {
    let stream: EventStream | undefined
    try {
      checkStreamOptions(options)
      if (!isProducer(source)) {
        const expected = 'an iterable, a Readable, or a function that makes one; follow() takes a topic'
        throw new InvalidOptionError('stream().source', `is ${expected}; got ${describe(source)}`)
      }
      checkRequest(request, reply)
      const opened = this.#open(request, reply, { user: options.user ?? null, topics: [], follows: true })
      stream = opened instanceof Promise ? await opened : opened
    } finally {
      // Nothing will read the source, and its file would stay open.
      if (stream === undefined && source instanceof Readable) source.destroy()
    }
    if (stream === undefined) return undefined
    const { id } = stream
    feed(stream, source, this.options.maxEventBytes).catch((error) => {
      this.#app.log.error({ err: error, stream: id }, 'the source of a stream failed')
    })
    return stream
  }

  /**
   * Handles the failure of a stream whose handler does not wait for it, because the rejection would end the process: logs it,
   * and answers the client.
   */
  #watch(
    call: string,
    request: FastifyRequest,
    reply: FastifyReply,
    opening: Promise<Stream | undefined>
  ): Promise<Stream | undefined> {
    return WatchedPromise.of(opening, (error) => {
      request.log.error(
        { err: error },
        `${call}() failed and its handler did not wait for it; return it from the handler`
      )
      if (!reply.sent && !reply.raw.headersSent) reply.send(error)
    })
  }

  #open(
    request: FastifyRequest,
    reply: FastifyReply,
    opening: StreamRequest
  ): EventStream | undefined | Promise<EventStream | undefined> {
    this.#sessions.add(request.raw)
    this.#peers.watch()
    return openEventStream(this.manager, request, reply, opening)
  }

  /** A retryable rejection, because a function of the host failed or took too long. */
  #reject(request: FastifyRequest, reply: FastifyReply): undefined {
    this.manager.rejected.error++
    this.refuse(request, reply, 'error')
  }

  /**
   * @internal A retryable rejection: answers with a stream that ends at once, so that the event source reconnects later. The
   * caller counts it.
   */
  refuse(request: FastifyRequest, reply: FastifyReply, reason: StreamRejection): void {
    refuse(this.manager, request, reply, reason)
  }
}

async function sseHubPlugin(app: FastifyInstance, options: SseHubOptions): Promise<void> {
  let hub: SseHub<RegisteredEvents> | undefined
  try {
    checkPluginOptions(options)
    const { paceConnections = false } = options
    hub = new SseHub<RegisteredEvents>(app, options)
    await setUp(app, hub, paceConnections)
  } catch (error) {
    // Fastify does not always close an app that did not start.
    await closeFailed(app, options, hub)
    throw error
  }
}

async function setUp(app: FastifyInstance, hub: SseHub<RegisteredEvents>, paceConnections: boolean): Promise<void> {
  app.decorate('sse', hub)
  await hub.start()
  app.addHook('onError', (_request, _reply, { code, statusCode = 0 }, done) => {
    const reason = REFUSALS_BY_STATUS[statusCode]
    // Other errors are the host's.
    if (reason !== undefined && code?.startsWith('SSE_HUB_ERR_')) hub.countRefusal(reason)
    done()
  })
  const pacer = paceConnections
    ? ConnectionPacer.pace(app.server, () => hub.manager.isCatchingUp, hub.options.clock)
    : undefined
  // Before Fastify waits for open connections: those of streams never close by themselves.
  app.addHook('preClose', () => {
    pacer?.open()
    return hub.drain()
  })
  app.addHook('onClose', () => hub.dispose())
}

/** Closes the hub that did not start, or the parts that were passed for it. */
async function closeFailed(
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

/** The plugin: decorates the instance with `fastify.sse`. */
export const sseHub = fp(sseHubPlugin, { fastify: '5.x', name: 'fastify-sse-hub' })
