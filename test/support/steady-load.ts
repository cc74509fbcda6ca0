import type { Test } from 'tap'
import { RECONNECTING_CLIENTS, type ReconnectingClient } from './reconnecting-client.ts'
import { SteadyPublisher } from './steady-publisher.ts'

/** How many events each publisher gets accepted between one step of a test and the next. */
const PACE = 25

interface LoadClient {
  readonly user: string
  readonly kind: string
  readonly client: ReconnectingClient
}

/** Some users, each with a publisher of its own and a client of each kind, while a test disturbs the hub. */
export class SteadyLoad {
  readonly clients: readonly LoadClient[]
  readonly #publishers: readonly SteadyPublisher[]

  private constructor(clients: readonly LoadClient[], publishers: readonly SteadyPublisher[]) {
    this.clients = clients
    this.#publishers = publishers
  }

  /** Resolves when every client has a stream, and the publishers have begun. */
  static async start(t: Test, url: string, count: number): Promise<SteadyLoad> {
    const users = Array.from({ length: count }, (_, at) => `user${at}`)
    const clients = users.flatMap((user) =>
      Object.entries(RECONNECTING_CLIENTS).map(([kind, open]) => {
        const client = open(`${url}/events?user=${user}`)
        t.teardown(() => client.close())
        return { user, kind, client }
      })
    )
    for (const { client } of clients) await client.count('hub.welcome', 1)
    return new SteadyLoad(
      clients,
      users.map((user) => new SteadyPublisher(url, user))
    )
  }

  /** How often publishers have repeated a call. */
  get retries(): number {
    return this.#publishers.reduce((sum, { retries }) => sum + retries, 0)
  }

  /** Resolves when each publisher has had further events accepted. */
  async goOn(): Promise<void> {
    await Promise.all(this.#publishers.map((publisher) => publisher.reached(publisher.accepted + PACE)))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#publishers.map((publisher) => publisher.stop()))
  }

  /** Checks that every client gets each accepted event once and in order, without a gap. Returns how many events there were. */
  async check(t: Test): Promise<number> {
    const accepted = new Map(this.#publishers.map(({ user, accepted }) => [user, accepted]))
    for (const { user, kind, client } of this.clients) {
      const due = accepted.get(user) as number
      await client.until(
        () => client.isOver || client.of('message').includes(`${due - 1}`),
        `the last event of ${user}`
      )
      t.notOk(client.isOver, `${kind} never gives up`)
      const expected = Array.from({ length: due }, (_, number) => `${number}`)
      t.same(client.of('message'), expected, `${user}, ${kind}: each once, in order`)
      t.same(client.of('hub.gap'), [])
    }
    return [...accepted.values()].reduce((sum, count) => sum + count, 0)
  }
}
