import { Agent, request } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import Fastify from 'fastify'
import { type SseHubOptions, sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { reset } from '../../testing/reset.ts'
import type { ConnectionLog, PublishedLog } from './oracle.ts'
import type { Random } from './random.ts'
import { StreamClient } from './stream-client.ts'

export const USERS = Array.from({ length: 20 }, (_, at) => `user-${at}`)
export const TOPICS = Array.from({ length: 8 }, (_, at) => `topic-${at}`)
/** Retention without an eviction, so that no gap excuses a missing event. */
export const UNBOUNDED = { user: 1_000_000, topic: 1_000_000, everyone: 1_000_000, bytes: 2 ** 33 }
/** Data of the last event. */
export const FENCE = 'the last of all'
/** Maximum time that a client is connected, and disconnected, in milliseconds. */
const STAY = 120
const AWAY = 20
/** Maximum time that most clients wait for their welcome, in milliseconds. */
const MAX_OPENING = 5_000

/** A hub over HTTP, with a function that cuts its connections without a close event. */
export async function startServer(options: SseHubOptions) {
  const app = Fastify()
  const sockets = new Map<number, Socket>()
  app.server.on('connection', (socket: Socket) => {
    const port = socket.remotePort ?? 0
    sockets.set(port, socket)
    socket.on('close', () => sockets.delete(port))
  })
  await app.register(sseHub, options)
  await app.register(hubRoutes, {
    authenticate: ({ query }) => ({ user: (query as { user: string }).user }),
    authorizeTopic: () => true,
    authorize: () => true
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { app, url: `http://127.0.0.1:${port}`, sockets }
}

export type Server = Awaited<ReturnType<typeof startServer>>

/**
 * Posts over its own sockets, and logs each receipt. After a retryable rejection it posts again with the same key, to
 * any server, until the event is accepted: so each of its events is published once.
 */
export class Publisher {
  readonly log: PublishedLog[] = []
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 })
  readonly #servers: readonly Server[]
  readonly #name: string
  readonly #random: Random
  /** Number of rejected attempts. */
  refusals = 0
  #count = 0
  #keys = 0

  constructor(servers: readonly Server[], name: string, random: Random) {
    this.#servers = servers
    this.#name = name
    this.#random = random
  }

  async publish(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      // Some posts wait for their receipts together, so that requests overtake each other.
      await Promise.all(Array.from({ length: this.#random.from(1, 4) }, () => this.#publishSome()))
    }
    this.#agent.destroy()
  }

  async #publishSome(): Promise<void> {
    const kind = this.#random.weighted({ user: 40, topic: 30, everyone: 15, batch: 15 })
    if (kind === 'batch') {
      const events = Array.from({ length: this.#random.from(2, 10) }, () => {
        const to = this.#target()
        return { to, data: this.#data(), inbox: this.#inbox(to) }
      })
      const receipts = (await this.#post('/events', events)) as { id: string }[]
      receipts.forEach(({ id }, at) => {
        const { to, data } = events[at] as { to: Target; data: string }
        this.#note(id, channelsOf(to), data, to.except?.users)
      })
      return
    }
    const name = this.#random.pick(kind === 'user' ? USERS : TOPICS)
    const [path, to]: [string, Target] =
      kind === 'everyone'
        ? ['/broadcast', { everyone: true }]
        : kind === 'user'
          ? [`/users/${name}/events`, { users: [name] }]
          : [`/topics/${name}/events`, { topics: [name] }]
    const data = this.#data()
    const { id } = (await this.#post(path, { data, inbox: this.#inbox(to) })) as { id: string }
    this.#note(id, channelsOf(to), data)
  }

  #target(): Target {
    const except = this.#random.chance(0.3) ? { users: [0, 1, 2].map(() => this.#random.pick(USERS)) } : undefined
    return { ...this.#receivers(), except }
  }

  #receivers(): Target {
    const kind = this.#random.weighted({ users: 40, topics: 40, everyone: 20 })
    if (kind === 'everyone') return { everyone: true }
    const names = [...new Set([0, 1].map(() => this.#random.pick(kind === 'users' ? USERS : TOPICS)))]
    return kind === 'users' ? { users: names } : { topics: names }
  }

  /** Some events for users are filed in their inboxes as well, which must not change what their streams receive. */
  #inbox({ users, except }: Target): true | undefined {
    const isFor = users?.some((user) => !except?.users.includes(user)) ?? false
    return isFor && this.#random.chance(0.3) ? true : undefined
  }

  #data(): string {
    const size = this.#random.chance(0.02) ? 20_000 : this.#random.from(0, 300)
    return `${this.#name} ${++this.#count} ${'.'.repeat(size)}`
  }

  #note(id: string, channels: string[], data: string, except?: string[]): void {
    this.log.push({ id, channels, data, except, at: performance.now() })
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const key = `${this.#name}/${++this.#keys}`
    for (;;) {
      const { status, text } = await this.#ask(this.#random.pick(this.#servers).url + path, key, body)
      if (status === 202) return JSON.parse(text)
      if (status !== 503) throw new Error(`${status} ${text}`)
      this.refusals++
      await pause(10)
    }
  }

  #ask(url: string, key: string, body: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'idempotency-key': key }
      const posting = request(url, { method: 'POST', agent: this.#agent, headers }, (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: String(Buffer.concat(pieces)) }))
      })
      posting.on('error', reject)
      posting.end(JSON.stringify(body))
    })
  }
}

interface Target {
  readonly users?: string[]
  readonly topics?: string[]
  readonly everyone?: boolean
  readonly except?: { readonly users: string[] } | undefined
}

function channelsOf({ users = [], topics = [], everyone = false }: Target): string[] {
  return [
    ...users.map((user) => `user ${user}`),
    ...topics.map((topic) => `topic ${topic}`),
    ...(everyone ? ['everyone'] : [])
  ]
}

/**
 * A client whose connection is cut again and again, by itself or by the server. It reconnects to any server, with its
 * last event ID.
 */
export class Subscriber {
  readonly log: ConnectionLog[] = []
  resumes = 0
  /** Number of events received on connections that have ended. */
  received = 0
  readonly #servers: readonly Server[]
  readonly #path: string
  readonly #user: string
  readonly #listensTo: string[]
  readonly #random: Random
  #server: Server | undefined
  #client: StreamClient | undefined
  #lastEventId: string | undefined

  constructor(servers: readonly Server[], user: string, topics: readonly string[], random: Random) {
    this.#servers = servers
    this.#user = user
    this.#path = `/events?user=${user}&topics=${topics.join()}`
    this.#listensTo = channelsOf({ users: [user], topics: [...topics], everyone: true })
    this.#random = random
  }

  async connect(): Promise<void> {
    this.#server = this.#random.pick(this.#servers)
    this.#client = await StreamClient.open(this.#server.url + this.#path, { lastEventId: this.#lastEventId })
    // On its first connection a client begins at the position in the welcome.
    if (this.#lastEventId === undefined) await this.#client.event('hub.welcome')
    else this.resumes++
  }

  async live(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const client = this.#client as StreamClient
      // Some streams are cut before their welcome. If all were, on a busy machine, none would receive anything.
      const patience = this.#random.chance(0.7) ? MAX_OPENING : 0
      for (let waited = 0; waited < patience && client.events.length === 0 && !client.isEnded; waited += 5)
        await pause(5)
      await pause(this.#random.next() * STAY)
      if (this.#random.chance(0.3)) {
        client.pause()
        await pause(this.#random.next() * 20)
      }
      if (this.#random.chance(0.5)) client.cut()
      else {
        const socket = this.#server?.sockets.get(client.response.socket.localPort ?? 0)
        if (socket !== undefined) reset(socket)
      }
      client.resume()
      await client.end()
      this.#close(false)
      await pause(this.#random.next() * AWAY)
      await this.connect()
    }
  }

  /** Resolves when the client has read the last event of all. */
  async rest(): Promise<void> {
    for (;;) {
      const client = this.#client as StreamClient
      const isThere = () => client.published.at(-1)?.data === FENCE
      await client.until(() => isThere() || client.isEnded, 'the last event')
      this.#close(isThere())
      client.cut()
      if (isThere()) return
      await pause(AWAY)
      await this.connect()
    }
  }

  #close(isComplete: boolean): void {
    const { events, published, lastEventId } = this.#client as StreamClient
    this.received += published.length
    const at = performance.now()
    this.log.push({
      user: this.#user,
      listensTo: this.#listensTo,
      startsAfter: this.#lastEventId ?? events[0]?.id,
      openedAt: 0,
      records: events.map(({ event, data, id }) => ({ event, data, id, at })),
      isComplete
    })
    if (lastEventId !== '') this.#lastEventId = lastEventId
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
