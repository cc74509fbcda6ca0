import type { AddressInfo } from 'node:net'
import t from 'tap'
import { connect } from '../../client/connect.ts'
import type { HubEvent } from '../../client/hub-event.ts'
import type { HubStream } from '../../client/hub-stream.ts'
import { effort } from '../support/effort.ts'
import { FENCE, Publisher, pause, startServer, TOPICS, UNBOUNDED, USERS } from '../support/exactly-once.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { httpFetch } from '../support/http-fetch.ts'
import { type ClientRecord, type ConnectionLog, judge } from '../support/oracle.ts'
import { Random } from '../support/random.ts'

/** Minimum duration of publishing, in milliseconds, and minimum work before it stops. */
const DURATION = Number(process.env.EXACTLY_ONCE_MS ?? effort(1_500, 30_000))
const DELIVERIES = 3_000
const SEED = Number(process.env.EXACTLY_ONCE_SEED ?? Date.now() % 1_000_000)
const STREAMS = 20
/** The reconnection time, in milliseconds: short, so that a run has many returns. */
const RETRY = 20

t.setTimeout(DURATION + 110_000)

/** The ways in which a page may take events: plain handlers, handlers that take their time, iteration. */
const WAYS = ['handler', 'slow handler', 'iteration'] as const

/** A page with a stream, which is reloaded now and then, with its cursor in a storage. */
class Page {
  readonly records: ClientRecord[] = []
  readonly way: (typeof WAYS)[number]
  startsAfter: string | undefined
  returns = 0
  /** Resolves when the last event of all has come. */
  readonly fence: Promise<void>
  #onFence: (() => void) | undefined
  readonly #url: string
  readonly #random: Random
  readonly #kept = new Map<string, string>()
  #stream: HubStream | undefined

  constructor(url: string, way: (typeof WAYS)[number], random: Random) {
    this.#url = url
    this.way = way
    this.#random = random
    this.fence = new Promise((resolve) => {
      this.#onFence = resolve
    })
  }

  /** Opens the stream, as a page that loads. */
  load(): void {
    const stream = connect(this.#url, {
      fetch: httpFetch,
      persist: {
        getItem: (key) => this.#kept.get(key) ?? null,
        setItem: (key, value) => void this.#kept.set(key, value)
      },
      // No jitter: each return is after the reconnection time.
      random: () => 0
    })
    this.#stream = stream
    stream.on('hub.welcome', (event) => {
      this.startsAfter ??= event.id
      this.returns++
    })
    stream.on('hub.gap', (event) => this.#take(event))
    if (this.way === 'iteration') void this.#iterate(stream)
    else if (this.way === 'handler') stream.on('*', (event) => this.#take(event))
    else
      stream.on('*', async (event) => {
        if (this.#random.chance(0.05)) await pause(1)
        this.#take(event)
      })
  }

  /** A reload between two events: its handlers are not in the middle of one. */
  async reload(): Promise<void> {
    const stream = this.#stream as HubStream
    if (this.way === 'handler') {
      stream.close()
      this.load()
    } else stream.reconnectNow()
  }

  close(): void {
    this.#stream?.close()
  }

  async #iterate(stream: HubStream): Promise<void> {
    for await (const event of stream) {
      if (this.#random.chance(0.05)) await pause(1)
      this.#take(event)
    }
  }

  #take({ name, text, id }: HubEvent): void {
    this.records.push({ event: name, data: text, id, at: performance.now() })
    if (text === FENCE) this.#onFence?.()
  }
}

t.test(`the handlers of ${STREAMS} streams that are cut at random get every event once and in order`, async (t) => {
  t.comment(`EXACTLY_ONCE_MS=${DURATION} EXACTLY_ONCE_SEED=${SEED}`)
  const server = await startServer({ retention: UNBOUNDED, reconnectionTime: RETRY, heartbeatInterval: 200 })
  t.teardown(() => server.app.close())
  const proxy = await FaultProxy.start((server.app.server.address() as AddressInfo).port)
  t.teardown(() => proxy.close())
  const random = new Random(SEED)
  const listens: string[][] = []
  const pages = Array.from({ length: STREAMS }, (_, at) => {
    const topics = TOPICS.filter(() => random.chance(0.25))
    const user = USERS[at % USERS.length] as string
    listens.push([`user ${user}`, ...topics.map((topic) => `topic ${topic}`), 'everyone'])
    const url = `http://127.0.0.1:${proxy.port}/events?user=${user}&topics=${topics.join()}`
    return new Page(url, random.pick(WAYS), new Random(SEED + at))
  })
  t.teardown(() => {
    for (const page of pages) page.close()
  })
  for (const page of pages) page.load()
  while (pages.some(({ startsAfter }) => startsAfter === undefined)) await pause(5)

  const publishers = [0, 1, 2].map((at) => new Publisher([server], `p${at}`, new Random(SEED + 1_000 + at)))
  const begin = performance.now()
  const received = () => pages.reduce((sum, { records }) => sum + records.length, 0)
  const returns = () => pages.reduce((sum, page) => sum + page.returns, 0)
  const isOver = () => performance.now() - begin > DURATION && received() > DELIVERIES && returns() > 4 * STREAMS
  const disturb = async () => {
    while (!isOver()) {
      await pause(random.next() * 40)
      proxy.split = random.chance(0.2) ? random.from(1, 40) : 0
      if (random.chance(0.6)) proxy.reset(random.from(1, STREAMS))
      else await random.pick(pages).reload()
    }
    proxy.split = 0
  }
  await Promise.all([...publishers.map((publisher) => publisher.publish(isOver)), disturb()])
  const { id } = await server.app.sse.broadcast({ data: FENCE })
  await Promise.all(pages.map(({ fence }) => fence))

  const fence = { id, channels: ['everyone'], data: FENCE, at: performance.now() }
  const published = [...publishers.flatMap(({ log }) => log), fence]
  const logs = pages.map(
    ({ records, startsAfter }, at): ConnectionLog => ({
      user: USERS[at % USERS.length] as string,
      listensTo: listens[at] as string[],
      startsAfter,
      openedAt: 0,
      records,
      isComplete: true
    })
  )
  const { complaints, deliveries, ...faults } = judge(published, logs)
  const figures = Object.entries({ published: published.length, deliveries, returns: returns(), ...faults })
  t.comment(figures.map(([name, count]) => `${name} ${count}`).join(', '))
  t.same(complaints, [])
  t.same(faults, { lost: 0, doubled: 0, outOfOrder: 0, falseGaps: 0, foreign: 0, altered: 0 })
})
