import { randomBytes } from 'node:crypto'
import { hashSecret } from './api-keys.ts'
import { describe, userChannel } from './channel.ts'
import { systemClock } from './clock.ts'
import { InvalidTicketError, TicketsUnavailableError } from './errors.ts'
import { isPattern } from './name-pattern.ts'
import { MemoryTickets } from './tickets-memory.ts'

/** What a ticket stands for. */
export interface TicketRecord {
  readonly user: string
  /** Patterns of the topics that may be asked for with it. */
  readonly topics: readonly string[]
  /** When it lapses, in milliseconds since the epoch. */
  readonly expiresAt: number
}

/**
 * Where tickets are kept, on one node or for many. It never sees a ticket, only its hash.
 *
 * A ticket is used again and again until it lapses, because an event source comes back with the URL that it was opened with.
 */
export interface TicketStore {
  /**
   * Keeps the record under the hash for `ttl` milliseconds, and resolves when every node finds it there. A store may be
   * bounded; then it forgets older tickets, or rejects.
   */
  put(hash: string, record: TicketRecord, ttl: number): Promise<void>
  /** The record, or undefined if there is none or it has lapsed. Rejects if that cannot be known now. */
  get(hash: string): Promise<TicketRecord | undefined>
}

/** What a ticket is made for. */
export interface TicketWish {
  readonly user: string
  /** Patterns of the topics that may be asked for with it. */
  readonly topics?: readonly string[] | undefined
  /** How long it is good, in milliseconds, from a second to a day. */
  readonly ttl?: number | undefined
  /** It is not good any longer than until then, in milliseconds since the epoch, whatever `ttl` says. */
  readonly notAfter?: number | undefined
}

export interface Ticket {
  /** What goes into `?ticket=`. */
  readonly ticket: string
  /** When it lapses, in milliseconds since the epoch: the stream that was opened with it is closed by then. */
  readonly expiresAt: number
}

/**
 * Ten minutes: as long as a stream may live before its user is asked who he is again. A ticket that is good for a minute
 * would end, for good, every event source that is cut later than that.
 */
export const DEFAULT_TICKET_TTL = 600_000
export const MIN_TICKET_TTL = 1_000
export const MAX_TICKET_TTL = 86_400_000
export const MAX_TICKET_TOPICS = 100
const TICKET_BYTES = 32
/** Of 32 bytes in base64url. */
const TICKET = /^[\w-]{43}$/

/** Makes tickets and recognises them. */
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
  async issue({ user, topics = [], ttl = DEFAULT_TICKET_TTL, notAfter = Infinity }: TicketWish): Promise<Ticket> {
    userChannel(user)
    if (!Array.isArray(topics) || topics.length > MAX_TICKET_TOPICS || !topics.every(isPattern)) {
      throw new InvalidTicketError(`topics are at most ${MAX_TICKET_TOPICS} names or beginnings of names with *`)
    }
    if (!Number.isSafeInteger(ttl) || ttl < MIN_TICKET_TTL || ttl > MAX_TICKET_TTL) {
      const got = typeof ttl === 'number' ? ttl : describe(ttl)
      throw new InvalidTicketError(`ttl is from ${MIN_TICKET_TTL} to ${MAX_TICKET_TTL} milliseconds; got ${got}`)
    }
    const now = this.#now()
    const expiresAt = Math.floor(Math.min(now + ttl, notAfter))
    if (expiresAt <= now) throw new InvalidTicketError('what it is made by has lapsed')
    const ticket = randomBytes(TICKET_BYTES).toString('base64url')
    try {
      await this.#store.put(keyOf(ticket), { user, topics, expiresAt }, expiresAt - now)
    } catch (error) {
      throw new TicketsUnavailableError({ cause: error })
    }
    return { ticket, expiresAt }
  }

  /** Who a ticket is for, if it is one and good. Rejects if the store cannot say. */
  async redeem(ticket: unknown): Promise<TicketRecord | undefined> {
    if (typeof ticket !== 'string' || !TICKET.test(ticket)) return undefined
    const record = await this.#store.get(keyOf(ticket))
    return record !== undefined && record.expiresAt > this.#now() ? record : undefined
  }
}

function keyOf(ticket: string): string {
  return hashSecret(ticket).toString('base64url')
}
