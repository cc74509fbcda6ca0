import { hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { HubAction } from '../services/access/action.ts'
import { type ApiKey, ApiKeys, fingerprintOf } from '../services/access/api-keys.ts'
import { keyFingerprint } from '../services/access/jwt-keys.ts'
import { isPattern, matchesAny } from '../services/access/name-pattern.ts'
import { allows, parseScopes, type Scopes } from '../services/access/scopes.ts'
import { MAX_TICKET_TOPICS, type Ticket, type TicketRequest, Tickets } from '../services/access/ticket-issuer.ts'
import { ForbiddenError, InvalidOptionError, InvalidTicketError, NoCredentialsError } from '../services/errors.ts'
import { isName } from '../services/events/channel.ts'
import { checkNames } from '../services/option-checks.ts'
import { explainMissing } from '../services/optional-package.ts'
import { describe } from '../services/text.ts'
import type { AnyInstance } from './any-server.ts'
import { checkOrigin } from './origin.ts'
import type { StreamIdentity } from './sse-hub.ts'
import { type TokenOptions, tokenVerifier, type VerifyToken } from './token-verifier.ts'

export interface AuthenticationOptions {
  /**
   * Tokens that open streams, for the user in their `sub`.
   * @default none: only tickets open streams
   */
  readonly subscribers?: TokenOptions | undefined
  /**
   * The name of a cookie that may hold a subscriber's token.
   * @default none: tokens are read from the `Authorization` header only
   */
  readonly cookie?: string | undefined
  /**
   * Tokens that publish, by the scopes in their `scope`. Their keys must differ from those of the subscribers.
   * @default none
   */
  readonly publishers?: TokenOptions | undefined
  /**
   * The API keys of publishers.
   * @default none
   */
  readonly apiKeys?: readonly ApiKey[] | undefined
  /**
   * Issues and redeems tickets.
   * @default tickets in the memory of this process
   */
  readonly tickets?: Tickets | undefined
  /**
   * Origins whose pages may use a user's cookie, besides the hub's own.
   * @default none
   */
  readonly origins?: readonly string[] | undefined
}

/** An authenticated user, and the patterns of the topics that the credential grants. */
export interface ProvenIdentity extends StreamIdentity {
  readonly mayAskFor: readonly string[]
}

interface Subscriber {
  readonly identity: ProvenIdentity & { readonly expiresAt: number }
  /** The fingerprint of the key that verified the token. */
  readonly issuer: string
}

/** An authenticated publisher. */
interface Publisher {
  /** Unique over all kinds of credentials. Rate limits and idempotency keys are scoped by it. */
  readonly name: string
  /** The fingerprint of the API key, or of the key that verified the token. */
  readonly issuer: string
  readonly scopes: Scopes
}

const BEARER = /^Bearer +([\w.~+/-]+=*) *$/i
const MAX_CLAIMED_TOPICS = 1_000
/** The property of a request that caches its publisher: `authorize` runs for each event of a batch. */
const PUBLISHER = Symbol('sse hub publisher')

type Marked = FastifyRequest & { [PUBLISHER]?: Publisher | null }

const OPTIONS = ['subscribers', 'cookie', 'publishers', 'apiKeys', 'tickets', 'origins']
const TOKEN_OPTIONS = ['keys', 'audience', 'issuer']

/** @throws {InvalidOptionError} */
function checkOptions(options: AuthenticationOptions): void {
  checkNames('authentication()', options, OPTIONS)
  for (const name of ['subscribers', 'publishers'] as const) checkTokenOptions(name, options[name])
  for (const name of ['apiKeys', 'origins'] as const) {
    const value = options[name]
    if (value !== undefined && !Array.isArray(value))
      throw new InvalidOptionError(`authentication().${name}`, `is an array; got ${describe(value)}`)
  }
  if (options.cookie !== undefined && typeof options.cookie !== 'string')
    throw new InvalidOptionError('authentication().cookie', `is the name of a cookie; got ${describe(options.cookie)}`)
}

function checkTokenOptions(name: string, given: TokenOptions | undefined): void {
  if (given === undefined) return
  const option = `authentication().${name}`
  if (typeof given !== 'object' || given === null || !Array.isArray(given.keys))
    throw new InvalidOptionError(option, `is an object with an array of keys; got ${describe(given)}`)
  checkNames(option, given, TOKEN_OPTIONS)
}

/** Creates the authentication handlers, to be passed to `sseHub` (streams) and `hubRoutes` (the HTTP API). */
export async function authentication(app: AnyInstance, options: AuthenticationOptions): Promise<Authentication> {
  checkOptions(options)
  const { subscribers, publishers, cookie } = options
  return new Authentication(options, {
    subscriber: subscribers && (await tokenVerifier(app, subscribers)),
    publisher: publishers && (await tokenVerifier(app, publishers)),
    parseCookie: cookie === undefined ? undefined : await cookieParser(app)
  })
}

interface Readers {
  readonly subscriber: VerifyToken | undefined
  readonly publisher: VerifyToken | undefined
  readonly parseCookie: CookieParser | undefined
}

/**
 * Authenticates and authorizes callers who open streams, publish, read, close, or request tickets. Its functions are bound,
 * and may be passed on without it.
 */
export class Authentication {
  #readers: Readers
  #apiKeys: ApiKeys
  readonly #tickets: Tickets
  readonly #cookie: string
  readonly #origins: readonly string[]
  /** Fingerprints of all keys in use: a ticket is valid only while the key of its issuer is one of them. */
  #issuers: ReadonlySet<string>

  /** @internal See {@link authentication}. */
  constructor(options: AuthenticationOptions, readers: Readers) {
    this.#readers = readers
    this.#apiKeys = new ApiKeys(options.apiKeys ?? [])
    this.#tickets = options.tickets ?? new Tickets()
    this.#cookie = options.cookie ?? ''
    this.#origins = options.origins ?? []
    const { apiKeys = [], subscribers, publishers } = options
    const tokenKeys = [...(subscribers?.keys ?? []), ...(publishers?.keys ?? [])]
    this.#issuers = new Set([...apiKeys.map(fingerprintOf), ...tokenKeys.map(keyFingerprint)])
  }

  /**
   * Identifies the user of a stream: by the `Authorization` header, else by `?ticket=`, else by the cookie, which browsers
   * send by themselves. The first that is present decides: if it is invalid, the next ones are ignored.
   */
  readonly authenticate = (
    request: FastifyRequest
  ): ProvenIdentity | undefined | Promise<ProvenIdentity | undefined> => {
    const { ticket } = (request.query ?? {}) as { ticket?: unknown }
    if (ticket !== undefined && bearerOf(request) === undefined) return this.#ofTicket(ticket)
    return this.#ofToken(request)?.identity
  }

  /** Whether the `topics` of the token or ticket cover a requested topic. */
  readonly authorizeTopic = (identity: StreamIdentity, topic: string): boolean =>
    matchesAny((identity as Partial<ProvenIdentity>).mayAskFor ?? [], topic)

  /**
   * Whether the scopes of the publisher's key or token cover the action.
   * @throws {NoCredentialsError}
   */
  readonly authorize = (request: FastifyRequest, action: HubAction): boolean => {
    const publisher = this.publisherOf(request)
    if (publisher === undefined) throw new NoCredentialsError()
    return allows(publisher.scopes, action)
  }

  /**
   * Issues a ticket: for the caller's own user if the caller is a subscriber with a token, or for the user that a publisher
   * with the scope `ticket` names. A ticket grants no topic that the subscriber's token does not grant, and does not outlive
   * the token. It is valid only while the key of its issuer is in use.
   * @throws {NoCredentialsError | ForbiddenError | InvalidTicketError}
   */
  readonly issueTicket = async (request: FastifyRequest, ticketRequest: Partial<TicketRequest>): Promise<Ticket> => {
    const publisher = this.publisherOf(request)
    if (publisher !== undefined) {
      if (!publisher.scopes.ticket) throw new ForbiddenError('ticket')
      // `issue` refuses a missing user.
      return this.#tickets.issue({ ...ticketRequest, user: ticketRequest.user as string, issuer: publisher.issuer })
    }
    const subscriber = this.#ofToken(request)
    if (subscriber === undefined) throw new NoCredentialsError()
    const { identity, issuer } = subscriber
    const { user = identity.user, topics = identity.mayAskFor, ttl } = ticketRequest
    if (user !== identity.user) throw new ForbiddenError('a ticket for another user')
    const foreign = topics.find((topic) => !matchesAny(identity.mayAskFor, topic))
    if (foreign !== undefined) throw new ForbiddenError(`a ticket for the topic ${JSON.stringify(foreign)}`)
    if (ticketRequest.topics === undefined && topics.length > MAX_TICKET_TOPICS) {
      throw new InvalidTicketError(
        `at most ${MAX_TICKET_TOPICS} topics are granted, and the token names ${topics.length}: choose with "topics"`
      )
    }
    return this.#tickets.issue({ user, topics, ttl, notAfter: identity.expiresAt, issuer })
  }

  /**
   * Revokes all tickets of a user: the caller's own, or any user's with the scope `ticket`.
   * @returns the number of revoked tickets.
   * @throws {NoCredentialsError | ForbiddenError}
   */
  readonly revokeTickets = async (request: FastifyRequest, user: string): Promise<number> => {
    const publisher = this.publisherOf(request)
    if (publisher !== undefined) {
      if (!publisher.scopes.ticket) throw new ForbiddenError('ticket')
    } else {
      const subscriber = this.#ofToken(request)
      if (subscriber === undefined) throw new NoCredentialsError()
      if (subscriber.identity.user !== user) throw new ForbiddenError('tickets of another user')
    }
    return this.#tickets.revoke(user)
  }

  /**
   * Rejects a request without valid credentials before its body is read. The routes check what the credentials allow.
   * @throws {NoCredentialsError}
   */
  readonly requireCredentials = (request: FastifyRequest): void => {
    if (this.publisherOf(request) === undefined && this.#ofToken(request) === undefined) throw new NoCredentialsError()
  }

  /** The publisher of the request. Only the `Authorization` header counts: a browser never sends it by itself. */
  publisherOf(request: FastifyRequest): Publisher | undefined {
    const marked = request as Marked
    if (marked[PUBLISHER] === undefined) marked[PUBLISHER] = this.#findPublisher(bearerOf(request)) ?? null
    return marked[PUBLISHER] ?? undefined
  }

  /**
   * Uses the keys of another authentication from now on; tickets, cookie and origins stay. Streams that are open stay open.
   * A ticket is valid only while the key of its issuer is in use.
   */
  replaceKeys(other: Authentication): void {
    this.#readers = { ...other.#readers, parseCookie: this.#readers.parseCookie }
    this.#apiKeys = other.#apiKeys
    this.#issuers = other.#issuers
  }

  /** A name of the publisher, unique over all kinds of credentials: the key's id, or the token's issuer and subject. */
  readonly nameOfPublisher = (request: FastifyRequest): string | undefined => this.publisherOf(request)?.name

  #findPublisher(bearer: string | undefined): Publisher | undefined {
    if (bearer === undefined) return undefined
    // A key has no dots, and a token has two.
    if (!bearer.includes('.')) {
      const key = this.#apiKeys.find(bearer)
      return key && { name: `key ${key.id}`, issuer: fingerprintOf(key), scopes: key.scopes }
    }
    const verified = this.#readers.publisher?.(bearer)
    if (typeof verified?.claims.scope !== 'string') return undefined
    const { claims, key: issuer } = verified
    // The claim may list scopes of other services.
    const scopes = parseScopes(verified.claims.scope.split(' ').filter((word) => parseScopes([word]) !== undefined))
    // A token without a subject is a publisher of its own. Hashed, because a subject may be long.
    const subject = typeof claims.sub === 'string' ? [claims.iss, claims.sub] : [bearer]
    const name = `token ${hash('sha256', JSON.stringify(subject), 'base64url')}`
    return scopes && { name, issuer, scopes }
  }

  #ofToken(request: FastifyRequest): Subscriber | undefined {
    const bearer = bearerOf(request)
    if (bearer !== undefined) return this.#identity(bearer)
    const cookie = this.#cookieOf(request)
    if (cookie === undefined) return undefined
    checkOrigin(request, this.#origins)
    return this.#identity(cookie)
  }

  #identity(token: string): Subscriber | undefined {
    const verified = this.#readers.subscriber?.(token)
    if (verified === undefined || !isName(verified.claims.sub)) return undefined
    const { sub: user, exp, topics = [] } = verified.claims
    if (!Array.isArray(topics) || topics.length > MAX_CLAIMED_TOPICS || !topics.every(isPattern)) return undefined
    return { identity: { user, mayAskFor: topics, expiresAt: exp * 1_000 }, issuer: verified.key }
  }

  async #ofTicket(ticket: unknown): Promise<ProvenIdentity | undefined> {
    const record = await this.#tickets.redeem(ticket)
    if (record?.issuer !== undefined && !this.#issuers.has(record.issuer)) return undefined
    return record && { user: record.user, mayAskFor: record.topics, expiresAt: record.expiresAt }
  }

  #cookieOf({ headers: { cookie } }: FastifyRequest): string | undefined {
    const { parseCookie } = this.#readers
    if (parseCookie === undefined || cookie === undefined) return undefined
    const cookies = parseCookie(cookie)
    return Object.hasOwn(cookies, this.#cookie) ? cookies[this.#cookie] : undefined
  }
}

type CookieParser = (header: string) => Record<string, string | undefined>

/** The host's cookie parser, or that of the package `cookie`. */
async function cookieParser(app: AnyInstance): Promise<CookieParser> {
  if (app.hasDecorator('parseCookie')) {
    const host = app as AnyInstance & { parseCookie: CookieParser }
    return (header) => host.parseCookie(header)
  }
  const { parse } = await import('cookie').catch(explainMissing('A token in a cookie', 'cookie'))
  return parse
}

/** The bearer token: empty if it is malformed, and undefined without such a header. */
function bearerOf({ headers: { authorization } }: FastifyRequest): string | undefined {
  if (authorization === undefined || !/^Bearer\b/i.test(authorization)) return undefined
  return BEARER.exec(authorization)?.[1] ?? ''
}
