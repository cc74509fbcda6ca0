import t, { type Test } from 'tap'
import { type RedisLog, type RedisLogOptions, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import { effort } from '../support/effort.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { Listening, toAlice } from '../support/tail-listener.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
const ROUNDS = Number(process.env.LOST_TAIL_ROUNDS ?? effort(3, 10))
t.comment(`TEST_SEED=${SEED} LOST_TAIL_ROUNDS=${ROUNDS}`)
t.setTimeout(60_000 + ROUNDS * 20_000)

const USERS: readonly Channel[] = ['u:alice', 'u:bob', 'u:carol']
const NODES = 3

async function startRedis(t: Test): Promise<RedisServer> {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  return redis
}

async function open(t: Test, url: string, options: RedisLogOptions = {}): Promise<RedisLog> {
  const log = await redisLog({ url, timeout: 1_000, ...options })
  t.teardown(() => log.close())
  return log
}

async function untilReady(log: RedisLog): Promise<void> {
  while (!(await log.ready())) await pause(10)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

async function headOf(log: RedisLog): Promise<Cursor> {
  return (await log.read({ channels: [], from: 'head', limit: 1 })).next
}

async function resume(log: RedisLog, from: Cursor, channel: Channel = 'u:alice') {
  const { events, gap, next } = await log.read({ channels: [channel], from, limit: 1_000, isTailed: true })
  return { texts: events.map(({ data }) => data), gap, next }
}

t.test('reports a gap to a client that was away while Redis lost its tail', { skip: withoutRedis }, async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, redis.url)
  await log.append([toAlice('1')])
  const away = await headOf(log)
  await redis.send(['SAVE'])
  for (const text of ['2', '3']) await log.append([toAlice(text)])
  await redis.kill()
  await redis.start()
  await untilReady(log)
  await log.append([toAlice('another 2')])
  const page = await resume(log, away)
  t.same([page.texts, page.gap], [['another 2'], 'evicted'])
  t.equal((await resume(log, page.next)).gap, undefined, 'the gap is reported once')
  const later = await headOf(log)
  await log.append([toAlice('4')])
  t.match(await resume(log, later), { texts: ['4'], gap: undefined })
})

t.test('reports the gap also on a node that knows nothing of the loss', { skip: withoutRedis }, async (t) => {
  const redis = await startRedis(t)
  const proxy = await FaultProxy.start(redis.port)
  t.teardown(() => proxy.close())
  const [log, cutOff] = [await open(t, redis.url), await open(t, proxy.url)]
  const listening = await Listening.to(cutOff)
  await log.append([toAlice('1')])
  await listening.met('1')
  await redis.send(['SAVE'])
  proxy.cut()
  while (await cutOff.ready()) await pause(10)
  for (const text of ['2', '3']) await log.append([toAlice(text)])
  await redis.kill()
  await redis.start()
  proxy.restore()
  await untilReady(log)
  await untilReady(cutOff)
  await listening.discontinuity()
  const from = listening.events[0]?.cursor as Cursor
  t.match(await resume(cutOff, from), { texts: [], gap: 'evicted' }, 'its open streams continue, and receive the gap')
  const fresh = await open(t, redis.url)
  await Listening.to(fresh)
  t.match(await resume(fresh, from), { texts: [], gap: 'evicted' })
})

t.test(
  'a cluster records a loss once, even if all its nodes notice it at the same time',
  { skip: withoutRedis },
  async (t) => {
    const redis = await startRedis(t)
    const logs = await Promise.all(Array.from({ length: 6 }, () => open(t, redis.url)))
    const listening = await Promise.all(logs.map((log) => Listening.to(log)))
    const [first] = logs as [RedisLog]
    await first.append([toAlice('1')])
    const away = await headOf(first)
    const goBack = await redis.snapshot('{sse-hub}:*')
    for (const log of logs) await log.append([toAlice('lost')])
    await Promise.all(listening.map((each) => each.met('lost')))
    await pause(50)
    await goBack()
    await Promise.all(logs.map((log) => log.append([toAlice('new')])))
    await Promise.all(listening.map((each) => each.discontinuity()))
    await Promise.all(logs.map((log) => resume(log, away)))
    t.equal((await headOf(first)).seq, away.seq + 1 + logs.length, 'one number for the loss')
    t.match(await resume(first, away), { texts: logs.map(() => 'new'), gap: 'evicted' })
    // The second loss also removes the record of the first.
    await goBack()
    await Promise.all(logs.map((log) => resume(log, away)))
    t.equal((await headOf(first)).seq, away.seq + 1)
    t.match(await resume(first, away), { texts: [], gap: 'evicted' })
  }
)

t.test('reports an older epoch that returns, as from a backup', { skip: withoutRedis }, async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, redis.url)
  await log.append([toAlice('1')])
  const away = await headOf(log)
  const restore = await redis.snapshot('{sse-hub}:*')
  await log.append([toAlice('lost')])
  await pause(5)
  await redis.send(['FLUSHALL'])
  await log.append([toAlice('in between')])
  t.match(await resume(log, away), { texts: ['in between'], gap: 'reset' })
  await restore()
  await log.append([toAlice('2')])
  t.match(await resume(log, away), { texts: ['2'], gap: 'evicted' })
})

interface Client {
  readonly channel: Channel
  readonly since: number
  cursor: Cursor
  gapAt: number
  gaps: number
  readonly received: Set<string>
}

/** Publishers and reconnecting clients, over a log on several nodes. */
class World {
  readonly acknowledged: { readonly data: string; readonly channel: Channel; readonly at: number }[] = []
  readonly clients: Client[] = []
  refused = 0
  #published = 0
  #isOver = false
  readonly #logs: readonly RedisLog[]
  readonly #random: Random

  constructor(logs: readonly RedisLog[], random: Random) {
    this.#logs = logs
    this.#random = random
  }

  async populate(): Promise<void> {
    for (let at = 0; at < 12; at++) {
      const cursor = await headOf(this.#logs[0] as RedisLog)
      const channel = USERS[at % USERS.length] as Channel
      this.clients.push({ channel, since: performance.now(), cursor, gapAt: -1, gaps: 0, received: new Set() })
    }
  }

  async publish(): Promise<void> {
    while (!this.#isOver) {
      const channel = this.#random.pick(USERS)
      const data = `${this.#published++}`
      await this.#random
        .pick(this.#logs)
        .append([toAlice(data, { channels: [channel] })])
        .then(
          () => this.acknowledged.push({ data, channel, at: performance.now() }),
          () => this.refused++
        )
      await pause(this.#random.from(0, 4))
    }
  }

  async reconnect(): Promise<void> {
    while (!this.#isOver) {
      await this.visit(this.#random.pick(this.clients), this.#random.pick(this.#logs)).catch(() => {})
      await pause(this.#random.from(0, 8))
    }
  }

  async visit(client: Client, log: RedisLog): Promise<void> {
    const requested = performance.now()
    const { texts, gap, next } = await resume(log, client.cursor, client.channel)
    for (const text of texts) client.received.add(text)
    if (gap !== undefined) {
      client.gapAt = requested
      client.gaps++
    }
    client.cursor = next
  }

  end(): void {
    this.#isOver = true
  }

  /** Acknowledged events that no client received, and that no later gap excuses. */
  missing(): string[] {
    return this.clients.flatMap(({ channel, since, gapAt, received }, number) =>
      this.acknowledged
        .filter(
          (event) => event.channel === channel && event.at > since && event.at > gapAt && !received.has(event.data)
        )
        .map(({ data }) => `${data} for client ${number}`)
    )
  }
}

for (const kind of ['a kill of a Redis without an append-only file', 'a promotion of a replica'] as const) {
  t.test(
    `all acknowledged events are delivered or reported as a gap, over ${kind}`,
    { skip: withoutRedis },
    async (t) => {
      const totals = { acknowledged: 0, refused: 0, delivered: 0, gaps: 0, undelivered: 0 }
      for (let round = 0; round < ROUNDS; round++) {
        const random = new Random(SEED + round)
        let redis = await RedisServer.start()
        const proxies = await Promise.all(Array.from({ length: NODES }, () => FaultProxy.start(redis.port)))
        const logs = await Promise.all(proxies.map(({ url }) => redisLog({ url, timeout: 1_000 })))
        for (const log of logs) await Listening.to(log)
        const world = new World(logs, random)
        await world.populate()
        const running = [world.publish(), world.publish(), world.reconnect(), world.reconnect()]
        for (let fault = 0; fault < 3; fault++) {
          if (kind === 'a promotion of a replica') {
            const replica = await RedisServer.start()
            await replica.follow(redis)
            await pause(random.from(20, 100))
            await replica.send(['REPLICAOF', 'NO', 'ONE'])
            await pause(random.from(20, 150))
            await redis.stop()
            redis = replica
            for (const proxy of proxies) proxy.target = redis.port
          } else {
            await pause(random.from(20, 100))
            await redis.send(['SAVE'])
            await pause(random.from(20, 150))
            await redis.kill()
            await redis.start()
          }
          await pause(random.from(100, 600))
        }
        world.end()
        await Promise.all(running)
        for (const log of logs) await untilReady(log)
        // A node checks the store again: one that knows of lost entries records the loss.
        for (const log of logs) await headOf(log)
        for (const client of world.clients) await world.visit(client, random.pick(logs))
        t.same(world.missing(), [], `round ${round}, seed ${SEED + round}`)
        totals.acknowledged += world.acknowledged.length
        totals.refused += world.refused
        for (const client of world.clients) {
          totals.delivered += client.received.size
          totals.gaps += client.gaps
          const own = world.acknowledged.filter(({ channel, at }) => channel === client.channel && at > client.since)
          totals.undelivered += own.filter(({ data }) => !client.received.has(data)).length
        }
        await Promise.all(logs.map((log) => log.close()))
        await Promise.all(proxies.map((proxy) => proxy.close()))
        await redis.stop()
      }
      t.comment(
        Object.entries(totals)
          .map(([name, count]) => `${name} ${count}`)
          .join(', ')
      )
      t.ok(totals.undelivered > 0 && totals.gaps > 0, 'something was lost')
    }
  )
}
