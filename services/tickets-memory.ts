import { Deadlines } from './deadlines.ts'
import type { TicketRecord, TicketStore } from './tickets.ts'

export interface MemoryTicketsOptions {
  /**
   * How many tickets are kept in all. One more takes the place of the oldest.
   * @default 100_000
   */
  readonly most?: number | undefined
  /**
   * How many tickets of one user are kept, so that no one user drives out the others.
   * @default 100
   */
  readonly mostOfUser?: number | undefined
}

/** Tickets of one node, in its memory. */
export class MemoryTickets implements TicketStore {
  readonly #now: () => number
  readonly #most: number
  readonly #mostOfUser: number
  /** In the order in which they were made. */
  readonly #records = new Map<string, TicketRecord>()
  readonly #ofUser = new Map<string, Set<string>>()
  readonly #lapses = new Deadlines<string>()

  constructor(now: () => number, { most = 100_000, mostOfUser = 100 }: MemoryTicketsOptions = {}) {
    this.#now = now
    this.#most = most
    this.#mostOfUser = mostOfUser
  }

  /** How many are kept. */
  get size(): number {
    return this.#records.size
  }

  async put(hash: string, record: TicketRecord, ttl: number): Promise<void> {
    const now = this.#now()
    for (let due = this.#lapses.takeDue(now); due !== undefined; due = this.#lapses.takeDue(now)) this.#forget(due)
    const ofUser = this.#ofUser.get(record.user) ?? new Set()
    this.#ofUser.set(record.user, ofUser)
    if (ofUser.size >= this.#mostOfUser) this.#forgetFirst(ofUser)
    if (this.#records.size >= this.#most) this.#forgetFirst(this.#records.keys())
    this.#records.set(hash, record)
    // Either may have taken the user's last one, and his set with it.
    this.#ofUser.set(record.user, ofUser.add(hash))
    this.#lapses.set(hash, now + ttl)
  }

  async get(hash: string): Promise<TicketRecord | undefined> {
    const record = this.#records.get(hash)
    return record !== undefined && record.expiresAt > this.#now() ? record : undefined
  }

  #forgetFirst(hashes: Iterable<string>): void {
    for (const hash of hashes) {
      this.#forget(hash)
      return
    }
  }

  #forget(hash: string): void {
    const record = this.#records.get(hash)
    if (record === undefined) return
    this.#records.delete(hash)
    this.#lapses.delete(hash)
    const ofUser = this.#ofUser.get(record.user)
    ofUser?.delete(hash)
    if (ofUser?.size === 0) this.#ofUser.delete(record.user)
  }
}
