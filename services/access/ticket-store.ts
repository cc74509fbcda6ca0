/** The contents of a ticket. */
export interface TicketRecord {
  readonly user: string
  /** Patterns of the topics that the ticket grants. */
  readonly topics: readonly string[]
  /** When the ticket expires, in milliseconds since the epoch. */
  readonly expiresAt: number
  /** The credential that the ticket was issued with, if the issuer named one. */
  readonly issuer?: string | undefined
}

/** Bounds of a store of tickets. */
export interface TicketBounds {
  /**
   * Number of tickets in all. One more evicts the oldest.
   * @default 100_000
   */
  readonly max?: number | undefined
  /**
   * Number of tickets of one user, so that one user evicts no other's. One more evicts the user's oldest.
   * @default 100
   */
  readonly maxOfUser?: number | undefined
  /**
   * Bytes of all tickets, by {@link weightOf}. One more ticket evicts the oldest.
   * @default 33_554_432
   */
  readonly bytes?: number | undefined
}

/** The bounds with their defaults. */
export function resolveBounds({ max = 100_000, maxOfUser = 100, bytes = 33_554_432 }: TicketBounds): {
  readonly max: number
  readonly maxOfUser: number
  readonly bytes: number
} {
  return { max, maxOfUser, bytes }
}

/** Bytes for the hash, the expiry and the indexes of a ticket. Measured: 600 bytes in the memory of Node, 500 in Redis. */
const OVERHEAD = 600

/** The bytes that a stored ticket counts for. */
export function weightOf(text: string): number {
  return Buffer.byteLength(text) + OVERHEAD
}

/**
 * A store of tickets, for one node or for a cluster. It receives only the hash of a ticket.
 *
 * A ticket is redeemed again and again until it expires, because an event source reconnects to the URL that it was opened with.
 */
export interface TicketStore {
  /**
   * Stores the record under the hash for `ttl` milliseconds, and resolves when every node finds it there. A store is
   * bounded; it evicts older tickets, or rejects.
   */
  put(hash: string, record: TicketRecord, ttl: number): Promise<void>
  /** The record, or undefined if it is missing or has expired. Rejects if the store cannot answer. */
  get(hash: string): Promise<TicketRecord | undefined>
  /** Deletes all tickets of a user. Resolves with their number. */
  deleteUser(user: string): Promise<number>
}
