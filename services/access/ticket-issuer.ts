import { randomBytes } from 'node:crypto'
import { systemClock } from '../clock.ts'
import { InvalidTicketError, TicketsUnavailableError } from '../errors.ts'
import { userChannel } from '../events/channel.ts'
import { describe } from '../text.ts'
import { hashSecret } from './api-keys.ts'
import { MemoryTickets } from './memory-tickets.ts'
import { isPattern } from './name-pattern.ts'
import type { TicketRecord, TicketStore } from './ticket-store.ts'

/** A request for a ticket. */
export interface TicketRequest {
  readonly user: string
  /** Patterns of the topics that the ticket grants: at most 100, and 4,096 bytes in all. */
  readonly topics?: readonly string[] | undefined
  /** How long the ticket is valid, in milliseconds, from a second to a day. */
  readonly ttl?: number | undefined
  /** An earlier end of its validity, in milliseconds since the epoch. */
  readonly notAfter?: number | undefined
  /** The credential that the ticket was issued with. {@link Tickets.redeem} returns it for a check. */
  readonly issuer?: string | undefined
}

export interface Ticket {
  /** The value of `?ticket=`. */
  readonly ticket: string
  /** When the ticket expires, in milliseconds since the epoch: the hub closes the stream that was opened with it by then. */
  readonly expiresAt: number
}

/**
 * Ten minutes: the age at which a stream's user authenticates again. A ticket that is valid for a minute would end, for good,
 * every event source that is cut after that minute.
 */
export const DEFAULT_TICKET_TTL = 600_000
export const MIN_TICKET_TTL = 1_000
export const MAX_TICKET_TTL = 86_400_000
export const MAX_TICKET_TOPICS = 100
/** Keeps tickets small; a subscriber's token may name longer topics. */
export const MAX_TICKET_TOPIC_BYTES = 4_096
const TICKET_BYTES = 32
/** 32 bytes in base64url. */
const TICKET = /^[\w-]{43}$/

/** Issues, redeems and revokes tickets. */
export class Tickets {
  readonly #store: TicketStore
  readonly #now: () => number

  constructor({
    now = systemClock.now,
    store = new MemoryTickets(now)
  }: { store?: TicketStore; now?: () => number } = {}) {
    this.#store = store
    this.#now = now
  }

  /** @throws {InvalidUserError | InvalidTicketError | TicketsUnavailableError} */
  async issue({
    user,
    topics = [],
    ttl = DEFAULT_TICKET_TTL,
    notAfter = Infinity,
    issuer
  }: TicketRequest): Promise<Ticket> {
    userChannel(user)
    checkTopics(topics)
    if (!Number.isSafeInteger(ttl) || ttl < MIN_TICKET_TTL || ttl > MAX_TICKET_TTL) {
      const got = typeof ttl === 'number' ? ttl : describe(ttl)
      throw new InvalidTicketError(`ttl is from ${MIN_TICKET_TTL} to ${MAX_TICKET_TTL} milliseconds; got ${got}`)
    }
    const now = this.#now()
    const expiresAt = Math.floor(Math.min(now + ttl, notAfter))
    if (expiresAt <= now) throw new InvalidTicketError('the credential that issues it has expired')
    const ticket = randomBytes(TICKET_BYTES).toString('base64url')
    const record = { user, topics, expiresAt, ...(issuer === undefined ? {} : { issuer }) }
    try {
      await this.#store.put(keyOf(ticket), record, expiresAt - now)
    } catch (error) {
      throw new TicketsUnavailableError({ cause: error })
    }
    return { ticket, expiresAt }
  }

  /** The record of a valid ticket, or undefined. Rejects if the store cannot answer. */
  async redeem(ticket: unknown): Promise<TicketRecord | undefined> {
    if (typeof ticket !== 'string' || !TICKET.test(ticket)) return undefined
    const record = await this.#store.get(keyOf(ticket))
    return record !== undefined && record.expiresAt > this.#now() ? record : undefined
  }

  /**
   * Revokes all tickets of a user. Streams that were opened with them stay open; close them with `disconnect(user)`.
   * @returns how many were revoked.
   * @throws {InvalidUserError | TicketsUnavailableError}
   */
  async revoke(user: string): Promise<number> {
    userChannel(user)
    try {
      return await this.#store.deleteUser(user)
    } catch (error) {
      throw new TicketsUnavailableError({ cause: error })
    }
  }
}

function checkTopics(topics: readonly string[]): void {
  if (!Array.isArray(topics) || topics.length > MAX_TICKET_TOPICS || !topics.every(isPattern)) {
    const got = Array.isArray(topics) ? `${topics.length} entries` : describe(topics)
    throw new InvalidTicketError(
      `topics are at most ${MAX_TICKET_TOPICS} names or beginnings of names with *; got ${got}`
    )
  }
  const bytes = topics.reduce((sum, topic) => sum + Buffer.byteLength(topic), 0)
  if (bytes > MAX_TICKET_TOPIC_BYTES)
    throw new InvalidTicketError(`topics take at most ${MAX_TICKET_TOPIC_BYTES} bytes in all; got ${bytes}`)
}

function keyOf(ticket: string): string {
  return hashSecret(ticket).toString('base64url')
}
