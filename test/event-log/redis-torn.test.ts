import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { type RedisLog, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import { effort } from '../support/effort.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { toAlice } from '../support/tail-listener.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
const ROUNDS = Number(process.env.TORN_ROUNDS ?? effort(6, 30))
t.comment(`TEST_SEED=${SEED} TORN_ROUNDS=${ROUNDS}`)
t.setTimeout(60_000 + ROUNDS * 5_000)

const CHANNELS: readonly Channel[] = ['u:alice', 'u:bob', 'u:"carol",', 'everyone']
/** The channel of events with idempotency keys, which are never evicted. */
const KEYED: Channel = 't:keyed'

/** The accepted events of a log by their data, with their channels. */
type Taken = Map<string, readonly Channel[]>

async function appendSome(log: RedisLog, name: string, random: Random, taken: Taken): Promise<void> {
  for (let batch = 0; batch < 4; batch++) {
    const events = Array.from({ length: random.from(1, 5) }, (_, at) => {
      const data = `${name}/${batch}/${at}`
      if (random.chance(0.3)) return toAlice(data, { channels: [KEYED], idempotency: idempotent(data) })
      const channels = CHANNELS.filter(() => random.chance(0.3))
      return toAlice(data, {
        channels: channels.length === 0 ? [random.pick(CHANNELS)] : channels,
        collapseKey: random.chance(0.2) ? random.pick(['p', 'q']) : undefined,
        ttl: random.chance(0.2) ? 60_000 : undefined
      })
    })
    await log.append(events)
    for (const { data, channels } of events) taken.set(data, channels)
  }
}

async function restart(redis: RedisServer, log: RedisLog): Promise<void> {
  await redis.start()
  while (!(await log.ready())) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** Checks that each channel returns only its own events, each number once, in order. Returns the number of events. */
async function checkHistories(t: Test, log: RedisLog, taken: Taken, name: string): Promise<number> {
  let count = 0
  for (const channel of [...CHANNELS, KEYED]) {
    const { events, remaining } = await log.read({ channels: [channel], from: 'oldest', limit: 1_000 })
    t.equal(remaining, 0)
    const foreign = events.filter(({ data }) => !taken.get(data)?.includes(channel))
    t.same(
      foreign.map(({ data }) => data),
      [],
      `${name}: ${channel} shows no event of others`
    )
    const numbers = events.map(({ cursor }) => cursor?.seq as number)
    t.same(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
      'each number once, in order'
    )
    count += events.length
  }
  return count
}

t.test('shows nobody an event of others, however the append-only file was torn', { skip: withoutRedis }, async (t) => {
  let read = 0
  let repeats = 0
  for (let round = 0; round < ROUNDS; round++) {
    const random = new Random(SEED + round)
    const redis = await RedisServer.start({ isDurable: true })
    const name = `round ${round}, seed ${SEED + round}`
    const isNewNode = random.chance(0.5)
    const open = () => redisLog({ url: redis.url, timeout: 1_000, retention: { user: 6, everyone: 6 } })
    let log = await open()
    const taken: Taken = new Map()
    await appendSome(log, 'before', random, taken)
    if (isNewNode) await log.close()
    await redis.kill()
    redis.tear(() => random.next(), random.from(1, 2))
    if (isNewNode) {
      await redis.start()
      log = await open()
    } else await restart(redis, log)
    await appendSome(log, 'between', random, taken)
    // The remains of a torn transaction take effect at the second start.
    await redis.kill()
    await restart(redis, log)
    read += await checkHistories(t, log, taken, name)
    await appendSome(log, 'after', random, taken)
    read += await checkHistories(t, log, taken, name)
    // A key that survived its call must not stand for a missing event.
    for (const [data, channels] of taken) {
      if (channels[0] !== KEYED) continue
      const [receipt] = await log.append([toAlice(data, { channels, idempotency: idempotent(data) })])
      if (receipt?.isRepeat) repeats++
      const { events } = await log.read({ channels, from: 'oldest', limit: 1_000 })
      const found = events.filter((event) => event.id === receipt?.id && event.data === data)
      t.equal(found.length, 1, `${name}: ${data} has the receipt ${receipt?.id}, and is there`)
    }
    await log.close()
    await redis.stop()
  }
  t.comment(`${read} events read, ${repeats} repeats`)
  t.ok(read > 0 && repeats > 0, 'the run had repeats')
})
