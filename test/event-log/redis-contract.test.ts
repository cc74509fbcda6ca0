import { randomBytes } from 'node:crypto'
import t from 'tap'
import { eventLogContract } from '../../event-log-contract/contract.ts'
import type { Bounds } from '../../event-log-contract/given.ts'
import { type RedisLog, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
t.comment(`SEED=${seed}`)

interface Node {
  readonly prefix: string
  readonly proxy: FaultProxy
  readonly clock: FakeClock
  readonly bounds: Bounds
}

t.test('the event log in Redis keeps the contract of event logs', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const nodes = new Map<RedisLog, Node>()

  async function open(node: Omit<Node, 'proxy'>): Promise<RedisLog> {
    const proxy = await FaultProxy.start(server.port)
    const { prefix, clock, bounds } = node
    const log = await redisLog({ url: proxy.url, prefix, clock, ...bounds, timeout: 1_000 })
    nodes.set(log, { ...node, proxy })
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
    createLog: (bounds) => open({ prefix: randomBytes(6).toString('hex'), clock: new FakeClock(), bounds }),
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
})

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5))
}
