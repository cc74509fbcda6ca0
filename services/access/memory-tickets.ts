import { DeadlineHeap } from '../deadline-heap.ts'
import { resolveBounds, type TicketBounds, type TicketRecord, type TicketStore, weightOf } from './ticket-store.ts'

/** A stored ticket: the record as JSON, which takes a fraction of the memory of its strings. */
interface Stored {
  readonly user: string
  readonly text: string
}

/** Tickets of one node, in its memory. */
export class MemoryTickets implements TicketStore {
  readonly #now: () => number
  readonly #bounds: ReturnType<typeof resolveBounds>
  /** In the order in which they were issued. */
  readonly #records = new Map<string, Stored>()
  readonly #ofUser = new Map<string, Set<string>>()
  readonly #expiries = new DeadlineHeap<string>()
  #bytes = 0

  constructor(now: () => number, bounds: TicketBounds = {}) {
    this.#now = now
    this.#bounds = resolveBounds(bounds)
  }

  /** Number of stored tickets. */
  get size(): number {
    return this.#records.size
  }

  async put(hash: string, record: TicketRecord): Promise<void> {
    const now = this.#now()
    for (let due = this.#expiries.takeDue(now); due !== undefined; due = this.#expiries.takeDue(now)) this.#delete(due)
    // Flat: a string that JSON.stringify returns keeps no parts alive.
    const text = JSON.stringify(record)
    const ofUser = this.#ofUser.get(record.user) ?? new Set()
    this.#ofUser.set(record.user, ofUser)
    if (ofUser.size >= this.#bounds.maxOfUser) this.#deleteFirst(ofUser)
    const room = this.#bounds.bytes - weightOf(text)
    while (this.#records.size > 0 && (this.#records.size >= this.#bounds.max || this.#bytes > room))
      this.#deleteFirst(this.#records.keys())
    this.#records.set(hash, { user: record.user, text })
    this.#bytes += weightOf(text)
    // An eviction may have deleted the user's last ticket, and the set with it.
    this.#ofUser.set(record.user, ofUser.add(hash))
    this.#expiries.set(hash, record.expiresAt)
  }

  async get(hash: string): Promise<TicketRecord | undefined> {
    const stored = this.#records.get(hash)
    if (stored === undefined) return undefined
    const record = JSON.parse(stored.text) as TicketRecord
    return record.expiresAt > this.#now() ? record : undefined
  }

  async deleteUser(user: string): Promise<number> {
    const hashes = [...(this.#ofUser.get(user) ?? [])]
    for (const hash of hashes) this.#delete(hash)
    return hashes.length
  }

  #deleteFirst(hashes: Iterable<string>): void {
    for (const hash of hashes) {
      this.#delete(hash)
      return
    }
  }

  #delete(hash: string): void {
    const stored = this.#records.get(hash)
    if (stored === undefined) return
    this.#records.delete(hash)
    this.#bytes -= weightOf(stored.text)
    this.#expiries.delete(hash)
    const ofUser = this.#ofUser.get(stored.user)
    ofUser?.delete(hash)
    if (ofUser?.size === 0) this.#ofUser.delete(stored.user)
  }
}
