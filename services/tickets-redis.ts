import type { RedisLink } from './event-log/redis/link.ts'
import type { TicketRecord, TicketStore } from './tickets.ts'

/**
 * Tickets that are good on every node, kept in the Redis that the nodes share. How many there are is bounded by how long each is
 * good, and by how many calls that make one are taken.
 */
export class RedisTickets implements TicketStore {
  readonly #link: RedisLink

  constructor(link: RedisLink) {
    this.#link = link
  }

  async put(hash: string, record: TicketRecord, ttl: number): Promise<void> {
    await this.#link.send(['SET', this.#key(hash), JSON.stringify(record), 'PX', String(Math.ceil(ttl))])
  }

  async get(hash: string): Promise<TicketRecord | undefined> {
    const text = await this.#link.send(['GET', this.#key(hash)])
    return text === null ? undefined : (JSON.parse(String(text)) as TicketRecord)
  }

  #key(hash: string): string {
    return this.#link.key(`ticket:${hash}`)
  }
}
