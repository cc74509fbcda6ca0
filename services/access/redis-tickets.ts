import type { RedisLink } from '../redis/link.ts'
import { scriptsOf } from '../redis/lua-scripts.ts'
import { LUA } from './ticket-scripts/ticket-lua.ts'
import { resolveBounds, type TicketBounds, type TicketRecord, type TicketStore, weightOf } from './ticket-store.ts'

const script = scriptsOf(LUA, ['ticket-common'])
const PUT = script('put-ticket')
const REVOKE = script('revoke-tickets')

/** Tickets that are valid on every node, stored in the Redis that the nodes share, within the same bounds as in memory. */
export class RedisTickets implements TicketStore {
  readonly #link: RedisLink
  readonly #name: string
  readonly #bounds: readonly string[]

  constructor(link: RedisLink, bounds: TicketBounds = {}) {
    this.#link = link
    this.#name = link.key('tickets')
    const { max, maxOfUser, bytes } = resolveBounds(bounds)
    this.#bounds = [max, maxOfUser, bytes].map(String)
  }

  async put(hash: string, record: TicketRecord, ttl: number): Promise<void> {
    const text = JSON.stringify(record)
    const args = [hash, record.user, text, String(Math.ceil(ttl)), String(weightOf(text)), ...this.#bounds]
    await this.#link.run(PUT, this.#name, args)
  }

  async get(hash: string): Promise<TicketRecord | undefined> {
    const text = await this.#link.send(['GET', `${this.#name}:t:${hash}`])
    return text === null ? undefined : (JSON.parse(String(text)) as TicketRecord)
  }

  async deleteUser(user: string): Promise<number> {
    return Number(await this.#link.run(REVOKE, this.#name, [user]))
  }
}
