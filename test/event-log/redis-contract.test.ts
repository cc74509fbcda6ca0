import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { eventLogContract } from '../../event-log-contract/contract.ts'
import type { Bounds } from '../../event-log-contract/given.ts'
import type { Interest, Tail } from '../../services/event-log/event-log.ts'
import { type RedisLog, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { isThorough } from '../support/effort.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
t.comment(`SEED=${seed}`)

/** The tails of a hub by interest, and the channels that they are interested in. */
class Interests {
  readonly #tails: Interest[] = []
  readonly #channels = new Set<Channel>()
  #covered: Promise<unknown> = Promise.resolve()

  async follow(tail: Tail): Promise<Tail> {
    const { interest } = tail
    if (interest === undefined) throw new TypeError('the tail is not by interest')
    this.#tails.push(interest)
    await interest.add([...this.#channels])
    return { ...tail, stop: () => this.#stop(tail, interest) }
  }

  async #stop(tail: Tail, interest: Interest): Promise<void> {
    this.#tails.splice(this.#tails.indexOf(interest), 1)
    interest.delete([...this.#channels])
    await tail.stop()
  }

  /** Every tail is interested in the channels of these events before they are appended. */
  async cover(events: readonly NewEvent[]): Promise<void> {
    const channels = [...new Set(events.flatMap((event) => event.channels))].filter(
      (channel) => !this.#channels.has(channel)
    )
    for (const channel of channels) this.#channels.add(channel)
    const before = this.#covered
    this.#covered = Promise.all([before, ...this.#tails.map((interest) => interest.add(channels))])
    await this.#covered
  }
}

interface Node {
  readonly prefix: string
  readonly interests?: Interests | undefined
  readonly proxy: FaultProxy
  readonly clock: FakeClock
  readonly bounds: Bounds
}

// Tails by interest are what a hub uses.
for (const byInterest of isThorough ? [false, true] : [true]) {
  const how = byInterest ? ', also where each tail gets only what it is interested in' : ''
  t.test(`the event log in Redis keeps the contract of event logs${how}`, { skip: withoutRedis }, (t) =>
    keepsContract(t, byInterest)
  )
}

async function keepsContract(t: Test, byInterest: boolean): Promise<void> {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const nodes = new Map<RedisLog, Node>()

  async function open(node: Omit<Node, 'proxy'>): Promise<RedisLog> {
    const proxy = await FaultProxy.start(server.port)
    const { prefix, clock, bounds } = node
    const log = await redisLog({ url: proxy.url, prefix, clock, ...bounds, timeout: 1_000 })
    nodes.set(log, { ...node, proxy })
    if (node.interests !== undefined) routeBy(log, node.interests)
    const close = log.close.bind(log)
    log.close = async () => {
      await close()
      if (proxy.isOpen) await proxy.close()
    }
    return log
  }

  const nodeOf = (log: RedisLog) => nodes.get(log) as Node

  eventLogContract<RedisLog>({
    test: (name, body) =>
      t.test(name, async (t) => {
        await body()
        t.pass(name)
      }),
    seed,
    createLog: (bounds) => {
      const prefix = randomBytes(6).toString('hex')
      return open({ prefix, clock: new FakeClock(), bounds, interests: byInterest ? new Interests() : undefined })
    },
    advance: (log, milliseconds) => nodeOf(log).clock.advance(milliseconds),
    async reopen(log) {
      nodeOf(log).proxy.cut()
      await log.close()
      return open(nodeOf(log))
    },
    secondNode: (log) => open(nodeOf(log)),
    async cut(log) {
      const { proxy } = nodeOf(log)
      proxy.cut()
      while (await log.ready()) await turn()
      return async () => {
        proxy.restore()
        // A log that was closed meanwhile never reconnects.
        while (proxy.isOpen && !(await log.ready())) await turn()
      }
    },
    async rewind(log) {
      const goBack = await server.snapshot(`{${nodeOf(log).prefix}}:*`)
      return async () => {
        await goBack()
        return log
      }
    }
  })
}

/** Its tails are by interest in the channels of all events that are appended. */
function routeBy(log: RedisLog, interests: Interests): void {
  const tail = log.tail.bind(log)
  const append = log.append.bind(log)
  log.tail = async (listener) => interests.follow(await tail(listener, { byInterest: true }))
  log.append = async (events) => {
    await interests.cover(events)
    return append(events)
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5))
}
