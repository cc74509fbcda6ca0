import { createClient as createClient6 } from 'redis'
import { createClient as createClient5 } from 'redis-5'
import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { type RedisLog, type RedisLogOptions, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { effort } from '../support/effort.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { Listening, toAlice } from '../support/tail-listener.ts'

type Template = NonNullable<RedisLogOptions['client']>

const VERSIONS: [string, (url: string) => Template][] = [
  ['node-redis 5', (url) => createClient5({ url }) as unknown as Template],
  ['node-redis 6', (url) => createClient6({ url }) as unknown as Template]
]
/** How often Redis is killed, and how often its connections are cut. */
const KILLS = effort(5, 12)
const CUTS = effort(15, 50)

t.setTimeout(180_000)

async function open(t: Test, options: RedisLogOptions): Promise<RedisLog> {
  const warn = ({ err }: { err?: Error }, message: string) => {
    if (err !== undefined) t.fail(`${message}: ${err.message}`)
  }
  const log = await redisLog({ timeout: 500, logger: { warn, info: () => {} }, ...options })
  t.teardown(() => log.close())
  return log
}

async function untilReady(log: RedisLog, isReady = true): Promise<void> {
  while ((await log.ready()) !== isReady) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** Number of connections of Redis, without the one that sends this command. */
async function connections(redis: RedisServer): Promise<number> {
  const list = String(await redis.send(['CLIENT', 'LIST']))
  return list.trim().split('\n').length - 1
}

for (const [version, templateOf] of VERSIONS) {
  t.test(`with ${version}`, { skip: withoutRedis }, async (t) => {
    t.test('the log is ready after each of many restarts of Redis', async (t) => {
      const redis = await RedisServer.start({ isDurable: true })
      t.teardown(() => redis.stop())
      const log = await open(t, { client: templateOf(redis.url) })
      const listening = await Listening.to(log)
      for (let turn = 0; turn < KILLS; turn++) {
        await redis.kill()
        await untilReady(log, false)
        await redis.start()
        await untilReady(log)
        await log.append([toAlice(`turn ${turn}`)])
        await listening.met(`turn ${turn}`)
      }
      t.equal(listening.events.length, KILLS)
      t.same(listening.discontinuities, [])
      t.equal(await connections(redis), 2, 'no connection is left over')
    })

    t.test('the log is ready after Redis was suspended, and no append is late', async (t) => {
      const redis = await RedisServer.start()
      t.teardown(() => redis.stop())
      const log = await open(t, { client: templateOf(redis.url) })
      const listening = await Listening.to(log)
      for (let turn = 0; turn < 3; turn++) {
        redis.freeze()
        await t.rejects(log.append([toAlice(`late ${turn}`, { idempotency: idempotent(`late ${turn}`) })]), /not known/)
        await untilReady(log, false)
        await t.rejects(log.append([toAlice(`never ${turn}`)]), /Nothing was published/)
        // The system accepts connections, and nobody answers them.
        await new Promise((resolve) => setTimeout(resolve, 1_000))
        redis.thaw()
        await untilReady(log)
        await log.append([toAlice(`late ${turn}`, { idempotency: idempotent(`late ${turn}`) })])
        await log.append([toAlice(`turn ${turn}`)])
        await listening.met(`turn ${turn}`)
      }
      t.same(listening.texts, ['late 0', 'turn 0', 'late 1', 'turn 1', 'late 2', 'turn 2'])
      while ((await connections(redis)) > 2) await new Promise((resolve) => setTimeout(resolve, 10))
    })

    t.test('the log is ready after each of many cuts of its connections', async (t) => {
      const redis = await RedisServer.start()
      t.teardown(() => redis.stop())
      const proxy = await FaultProxy.start(redis.port)
      t.teardown(() => proxy.close())
      const log = await open(t, { client: templateOf(proxy.url) })
      const listening = await Listening.to(log)
      for (let turn = 0; turn < CUTS; turn++) {
        if (turn % 5 === 0) {
          proxy.cut()
          await untilReady(log, false)
          await new Promise((resolve) => setTimeout(resolve, 100))
          proxy.restore()
        } else proxy.reset(turn % 3 === 0 ? 1 : undefined)
        const key = { idempotency: idempotent(`turn ${turn}`) }
        while (true) {
          await untilReady(log)
          const outcome = await log.append([toAlice(`turn ${turn}`, key)]).catch(() => undefined)
          if (outcome !== undefined) break
        }
        await listening.met(`turn ${turn}`)
      }
      t.same(
        listening.texts,
        Array.from({ length: CUTS }, (_, turn) => `turn ${turn}`)
      )
      while ((await connections(redis)) > 2) await new Promise((resolve) => setTimeout(resolve, 10))
    })

    t.test('the log can be closed at any time while it connects', async (t) => {
      const redis = await RedisServer.start()
      t.teardown(() => redis.stop())
      const proxy = await FaultProxy.start(redis.port)
      t.teardown(() => proxy.close())
      for (let turn = 0; turn < 20; turn++) {
        const log = await redisLog({ client: templateOf(proxy.url), startDegraded: true })
        for (let wait = 0; wait < turn; wait++) await new Promise((resolve) => setImmediate(resolve))
        if (turn % 4 === 3) proxy.reset()
        await log.close()
      }
      while ((await connections(redis)) > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    })
  })
}
