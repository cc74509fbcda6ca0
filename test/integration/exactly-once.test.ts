import { Agent, request } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { type ConnectionLog, judge, type PublishedLog } from '../support/oracle.ts'
import { Random } from '../support/random.ts'
import { StreamClient } from '../support/stream-client.ts'

/** How long publishers publish, in milliseconds. */
const DURATION = Number(process.env.EXACTLY_ONCE_MS ?? 4_000)
const SEED = Number(process.env.EXACTLY_ONCE_SEED ?? Date.now() % 1_000_000)
const STREAMS = 60
const PUBLISHERS = 6
const USERS = Array.from({ length: 20 }, (_, at) => `user-${at}`)
const TOPICS = Array.from({ length: 8 }, (_, at) => `topic-${at}`)
/** How long a client stays, and stays away, at most, in milliseconds. */
const STAY = 120
const AWAY = 20
const FENCE = 'the last of all'

t.setTimeout(DURATION + 110_000)

/** The server, and a way to cut its connections without a word. */
async function startServer() {
  const app = Fastify()
  const sockets = new Map<number, Socket>()
  app.server.on('connection', (socket: Socket) => {
    const port = socket.remotePort ?? 0
    sockets.set(port, socket)
    socket.on('close', () => sockets.delete(port))
  })
  await app.register(sseHub, { retention: { user: 1_000_000, topic: 1_000_000, broadcast: 1_000_000, bytes: 2 ** 33 } })
  await app.register(hubRoutes, {
    authenticate: ({ query }) => ({ user: (query as { user: string }).user }),
    authorizeTopic: () => true,
    authorizePublish: () => true
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { app, url: `http://127.0.0.1:${port}`, sockets }
}

type Server = Awaited<ReturnType<typeof startServer>>

/** Posts over sockets of its own; what it was told is its log. */
class Publisher {
  readonly log: PublishedLog[] = []
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 })
  readonly #url: string
  readonly #name: string
  readonly #random: Random
  #count = 0

  constructor(url: string, name: string, random: Random) {
    this.#url = url
    this.#name = name
    this.#random = random
  }

  async publish(until: number): Promise<void> {
    while (performance.now() < until) {
      // Some of them wait for their receipts together, so that requests overtake each other.
      await Promise.all(Array.from({ length: this.#random.from(1, 4) }, () => this.#publishSome()))
    }
    this.#agent.destroy()
  }

  async #publishSome(): Promise<void> {
    const kind = this.#random.weighted({ user: 40, topic: 30, everyone: 15, batch: 15 })
    if (kind === 'batch') {
      const events = Array.from({ length: this.#random.from(2, 10) }, () => ({
        to: this.#target(),
        data: this.#data()
      }))
      const receipts = (await this.#post('/events', events)) as { id: string }[]
      receipts.forEach(({ id }, at) => {
        const { to, data } = events[at] as { to: Target; data: string }
        this.#note(id, channelsOf(to), data)
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
    const { id } = (await this.#post(path, { data })) as { id: string }
    this.#note(id, channelsOf(to), data)
  }

  #target(): Target {
    const kind = this.#random.weighted({ users: 40, topics: 40, everyone: 20 })
    if (kind === 'everyone') return { everyone: true }
    const names = [...new Set([0, 1].map(() => this.#random.pick(kind === 'users' ? USERS : TOPICS)))]
    return kind === 'users' ? { users: names } : { topics: names }
  }

  #data(): string {
    const size = this.#random.chance(0.02) ? 20_000 : this.#random.from(0, 300)
    return `${this.#name} ${++this.#count} ${'.'.repeat(size)}`
  }

  #note(id: string, channels: string[], data: string): void {
    this.log.push({ id, channels, data, at: performance.now() })
  }

  #post(path: string, body: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const posting = request(this.#url + path, { method: 'POST', agent: this.#agent, headers }, (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', reject)
        response.on('end', () => {
          const text = String(Buffer.concat(pieces))
          if (response.statusCode === 202) resolve(JSON.parse(text))
          else reject(new Error(`${response.statusCode} ${text}`))
        })
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
}

function channelsOf({ users = [], topics = [], everyone = false }: Target): string[] {
  return [
    ...users.map((user) => `user ${user}`),
    ...topics.map((topic) => `topic ${topic}`),
    ...(everyone ? ['everyone'] : [])
  ]
}

/** A client that is cut again and again, by itself or by the server, and comes back with its last event ID. */
class Subscriber {
  readonly log: ConnectionLog[] = []
  resumes = 0
  readonly #server: Server
  readonly #url: string
  readonly #listensTo: string[]
  readonly #random: Random
  #client: StreamClient | undefined
  #lastEventId: string | undefined

  constructor(server: Server, user: string, topics: readonly string[], random: Random) {
    this.#server = server
    this.#url = `${server.url}/events?user=${user}&topics=${topics.join()}`
    this.#listensTo = channelsOf({ users: [user], topics: [...topics], everyone: true })
    this.#random = random
  }

  async connect(): Promise<void> {
    this.#client = await StreamClient.open(this.#url, { lastEventId: this.#lastEventId })
    // A client that comes for the first time begins where the welcome says that it does.
    if (this.#lastEventId === undefined) await this.#client.event('hub.welcome')
    else this.resumes++
  }

  async live(until: number): Promise<void> {
    while (performance.now() < until) {
      await pause(this.#random.next() * STAY)
      const client = this.#client as StreamClient
      if (this.#random.chance(0.3)) {
        client.pause()
        await pause(this.#random.next() * 20)
      }
      if (this.#random.chance(0.5)) client.cut()
      else this.#server.sockets.get(client.response.socket.localPort ?? 0)?.resetAndDestroy()
      client.resume()
      await client.end()
      this.#close(false)
      await pause(this.#random.next() * AWAY)
      await this.connect()
    }
  }

  async rest(): Promise<void> {
    await this.#client?.until(() => this.#client?.published.at(-1)?.data === FENCE, 'the last event')
    this.#close(true)
    this.#client?.cut()
  }

  #close(isComplete: boolean): void {
    const { events, lastEventId } = this.#client as StreamClient
    const at = performance.now()
    this.log.push({
      listensTo: this.#listensTo,
      startsAfter: this.#lastEventId ?? events[0]?.id,
      openedAt: 0,
      records: events.map(({ event, data, id }) => ({ event, data, id, at })),
      isComplete
    })
    if (lastEventId !== '') this.#lastEventId = lastEventId
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

t.test(
  `${STREAMS} streams that are cut at random get every event once and in order from ${PUBLISHERS} publishers`,
  async (t) => {
    t.comment(`EXACTLY_ONCE_MS=${DURATION} EXACTLY_ONCE_SEED=${SEED}`)
    const server = await startServer()
    t.teardown(() => server.app.close())
    const random = new Random(SEED)
    const subscribers = Array.from({ length: STREAMS }, (_, at) => {
      const topics = TOPICS.filter(() => random.chance(0.25))
      return new Subscriber(server, USERS[at % USERS.length] as string, topics, new Random(SEED + at))
    })
    const publishers = Array.from(
      { length: PUBLISHERS },
      (_, at) => new Publisher(server.url, `p${at}`, new Random(SEED + 1_000 + at))
    )
    for (const subscriber of subscribers) await subscriber.connect()

    const until = performance.now() + DURATION
    await Promise.all([
      ...publishers.map((publisher) => publisher.publish(until)),
      ...subscribers.map((subscriber) => subscriber.live(until))
    ])
    const { id } = await server.app.sse.broadcast({ data: FENCE })
    await Promise.all(subscribers.map((subscriber) => subscriber.rest()))

    const fence = { id, channels: ['everyone'], data: FENCE, at: performance.now() }
    const published = [...publishers.flatMap(({ log }) => log), fence]
    const { complaints, deliveries, ...faults } = judge(
      published,
      subscribers.flatMap(({ log }) => log)
    )
    const resumes = subscribers.reduce((sum, subscriber) => sum + subscriber.resumes, 0)
    const figures = Object.entries({ published: published.length, deliveries, resumes, ...faults })
    t.comment(figures.map(([name, count]) => `${name} ${count}`).join(', '))
    t.same(complaints, [])
    t.same(faults, { lost: 0, doubled: 0, outOfOrder: 0, falseGaps: 0, foreign: 0, altered: 0 })
    t.ok(resumes > STREAMS && deliveries > 10_000, 'it was no idle run')
  }
)
