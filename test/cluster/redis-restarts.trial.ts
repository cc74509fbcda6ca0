import t, { type Test } from 'tap'
import type { StreamEntry } from '../../services/cluster/cluster.ts'
import { RedisCluster } from '../../services/cluster/redis/redis-cluster.ts'
import { redisLink } from '../../services/event-log/redis/open-redis-log.ts'
import { effort } from '../support/effort.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { TestNode, until, untilSame } from '../support/test-node.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

/** How long connections are killed, in milliseconds, and how often Redis is restarted: longer trials set more. */
const KILLING = Number(process.env.KILLING_MS ?? effort(2_000, 15_000))
const RESTARTS = Number(process.env.RESTARTS ?? effort(3, 10))
/** Number of streams of each user, below the limit. */
const STREAMS = 3
const LIMIT = 4
const USERS = 20

t.setTimeout(120_000 + KILLING + RESTARTS * 10_000)

let prefixes = 0

async function joinNodes(t: Test, server: RedisServer, count: number, replaceAbove = 0): Promise<TestNode[]> {
  const prefix = `restarts${++prefixes}`
  const nodes: TestNode[] = []
  for (let at = 0; at < count; at++) {
    const link = await redisLink({ url: server.url, prefix, timeout: 500 })
    const joined = new RedisCluster({ link })
    t.teardown(async () => {
      await joined.leave()
      link.close()
    })
    const node = new TestNode(joined, { replaceAbove })
    await joined.join(node)
    nodes.push(node)
  }
  for (const { nodes: each } of nodes) await untilSame(() => each.isSingleNode, false)
  return nodes
}

interface Held {
  readonly node: TestNode
  readonly entry: StreamEntry
}

/** Users who move their streams from node to node, and never exceed the limit. */
class Movers {
  readonly #nodes: readonly TestNode[]
  readonly #random = new Random(seed)
  readonly #retained: Held[][] = []
  #isMoving = true
  readonly #moving: Promise<void>

  constructor(nodes: readonly TestNode[]) {
    this.#nodes = nodes
    for (let user = 0; user < USERS; user++) {
      this.#retained.push(Array.from({ length: STREAMS }, () => this.#open(user)))
    }
    this.#moving = this.#move()
  }

  #open(user: number): Held {
    const node = this.#nodes[this.#random.from(0, this.#nodes.length - 1)] as TestNode
    return { node, entry: node.open(`user${user}`, { since: Date.now() }) }
  }

  async #move(): Promise<void> {
    while (this.#isMoving) {
      const user = this.#random.from(0, USERS - 1)
      const streams = this.#retained[user] as Held[]
      const at = this.#random.from(0, STREAMS - 1)
      const { node, entry } = streams[at] as Held
      node.end(entry)
      streams[at] = this.#open(user)
      await new Promise((resolve) => setTimeout(resolve, this.#random.from(0, 4)))
    }
  }

  async stop(): Promise<void> {
    this.#isMoving = false
    await this.#moving
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

function allCounted(nodes: readonly TestNode[], user: string): Promise<number[]> {
  return Promise.all(
    nodes.map(async (node) => (await node.nodes.countOfUser(user).catch(() => -99)) + node.countOfUser(user))
  )
}

t.test('below the limit no stream is replaced', { skip: withoutRedis }, async (t) => {
  t.test('while connections to Redis are killed', async (t) => {
    const server = await RedisServer.start()
    t.teardown(() => server.stop())
    const nodes = await joinNodes(t, server, 3, LIMIT)
    const movers = new Movers(nodes)
    for (const end = performance.now() + KILLING; performance.now() < end; ) {
      await server.send(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
      await pause(120)
    }
    await movers.stop()
    for (let user = 0; user < USERS; user++) {
      await untilSame(() => allCounted(nodes, `user${user}`), [STREAMS, STREAMS, STREAMS])
    }
    t.same(
      nodes.flatMap(({ closed }) => closed),
      []
    )
  })

  for (const isDurable of [true, false]) {
    t.test(`while Redis is restarted ${isDurable ? 'with' : 'without'} its data`, async (t) => {
      const server = await RedisServer.start({ isDurable })
      t.teardown(() => server.stop())
      const nodes = await joinNodes(t, server, 3, LIMIT)
      const movers = new Movers(nodes)
      for (let turn = 0; turn < RESTARTS; turn++) {
        await pause(300)
        await server.kill()
        await pause(turn % 2 === 0 ? 100 : 1_500)
        await server.start()
      }
      await pause(1_000)
      await movers.stop()
      for (let user = 0; user < USERS; user++) {
        await untilSame(() => allCounted(nodes, `user${user}`), [STREAMS, STREAMS, STREAMS])
      }
      t.same(
        nodes.flatMap(({ closed }) => closed),
        []
      )
      // Above the limit a stream is replaced, as usual.
      const node = nodes[0] as TestNode
      for (let more = 0; more < 2; more++) node.open('user0', { since: Date.now() + 1_000 })
      await until(
        () => nodes.flatMap(({ closed }) => closed),
        (closed) => closed.length === 1,
        'one to be replaced'
      )
    })
  }
})

t.test('presence is true again within a second after Redis is back', { skip: withoutRedis }, async (t) => {
  for (const isDurable of [true, false]) {
    t.test(isDurable ? 'with what it had' : 'with nothing', async (t) => {
      const server = await RedisServer.start({ isDurable })
      t.teardown(() => server.stop())
      const nodes = await joinNodes(t, server, 3)
      for (const [at, node] of nodes.entries()) for (let user = 0; user < 50; user++) node.open(`user${at}-${user}`)
      const isTrue = async () => {
        const counts = await Promise.all(nodes.map((_, at) => allCounted(nodes, `user${at}-49`)))
        return counts.flat().every((count) => count === 1) && nodes.every(({ nodes }) => nodes.elsewhere.users === 100)
      }
      await until(isTrue, Boolean, 'presence')
      const times: number[] = []
      for (let turn = 0; turn < RESTARTS; turn++) {
        await server.kill()
        await pause([50, 1_000, 3_000][turn % 3] as number)
        await server.start()
        const since = performance.now()
        await until(isTrue, Boolean, 'presence')
        times.push(Math.round(performance.now() - since))
      }
      times.sort((one, other) => one - other)
      const [min, median, max] = [times[0], times[times.length >> 1], times.at(-1) as number]
      t.comment(`presence was true again after ${min} / ${median} / ${max} ms (min / median / max)`)
      t.ok(max < 1_000, `after ${max} ms`)
    })
  }
})
