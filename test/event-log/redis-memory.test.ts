import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { type RedisLog, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import type { Retention } from '../../services/event-log/retention.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { effort } from '../support/effort.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { toAlice } from '../support/tail-listener.ts'

const MIB = 1_048_576
const DAY = 86_400_000
/** Maximum ratio of the memory of Redis to the log's count, and to its bound. */
const TOLERANCE = 1.1
/** Number of simultaneous appends. */
const IN_FLIGHT = 200

t.setTimeout(240_000)

/** A log in a Redis of its own, and its memory there: the use of Redis beyond that of an empty one. */
async function logAlone(t: Test, retention: Partial<Retention>, rest: object = {}) {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const clock = new FakeClock()
  const open = () => redisLog({ url: redis.url, clock, retention, timeout: 10_000, ...rest })
  const used = async () => Number(/used_memory_dataset:(\d+)/.exec(String(await redis.send(['INFO', 'memory'])))?.[1])
  let log = await open()
  await log.append([toAlice('first')])
  const empty = await used()
  t.teardown(() => log.close())
  return {
    clock,
    log: () => log,
    /** Without the buffers of the connections, which do not belong to the log. */
    async measure(): Promise<number> {
      await log.close()
      log = await open()
      return (await used()) - empty
    }
  }
}

/** One append for each event, many at a time, as in a hub with many publishers. */
async function appendSingly(log: RedisLog, count: number, make: (index: number) => NewEvent): Promise<void> {
  let next = 0
  const publisher = async () => {
    while (next < count) await log.append([make(next++)])
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, publisher))
}

async function appendBatches(log: RedisLog, count: number, make: (index: number) => NewEvent): Promise<void> {
  for (let at = 0; at < count; at += 1_000) {
    await log.append(Array.from({ length: Math.min(1_000, count - at) }, (_, index) => make(at + index)))
  }
}

t.test('Redis uses no more memory than the log counts, with any contents', { skip: withoutRedis }, async (t) => {
  const count = effort(6_000, 30_000)
  const long = (index: number) => `${index}`.padStart(100, 'n')
  const kinds: Record<string, (index: number) => NewEvent> = {
    'events of one user': () => toAlice('x'.repeat(100)),
    'events of one letter': () => toAlice('x'),
    'large events': (index) => toAlice('x'.repeat(index % 10 === 0 ? 8_000 : 1)),
    'users with one event each': (index) => toAlice('x', { channels: [`u:${index}`] }),
    'topics with long names': (index) => toAlice('x', { channels: [`t:${long(index)}`] }),
    'events of several channels': (index) =>
      toAlice('x', { channels: [`u:${index % 100}`, `t:${index % 7}`, 'everyone', `u:b${index % 1_000}`] }),
    'collapse keys': (index) => toAlice('x', { collapseKey: long(index) }),
    'events that expire': () => toAlice('x', { ttl: DAY }),
    'idempotency keys': (index) => toAlice('x', { transient: true, idempotency: idempotent(`${index}`.padStart(22)) }),
    'scopes of idempotency keys': (index) =>
      toAlice('x', { transient: true, idempotency: idempotent('k'.repeat(22), { scope: `${index}`.padStart(22) }) })
  }
  for (const [kind, make] of Object.entries(kinds)) {
    const { log, measure } = await logAlone(t, { user: 100_000, topic: 100_000, everyone: 100_000 })
    await appendBatches(log(), count, make)
    const { bytes } = log().stats()
    const used = await measure()
    t.comment(`${kind}: ${(used / count).toFixed()} bytes each, counted ${(bytes / count).toFixed()}`)
    t.ok(used <= bytes * TOLERANCE, `${kind}: Redis uses ${used}, the log counts ${bytes}`)
    t.ok(used >= bytes / 4, `${kind}: and not much less, ${used}`)
  }
})

t.test('a week of single appends stays within the bound', { skip: withoutRedis }, async (t) => {
  const bytes = 12 * MIB
  const { log, clock, measure } = await logAlone(t, { bytes }, { tailBytes: 2 * MIB })
  const count = effort(35_000, 150_000)
  const step = (7 * DAY) / count
  let max = 0
  for (let day = 0; day < 7; day++) {
    await appendSingly(log(), Math.ceil(count / 7), (index) => {
      clock.advance(step)
      const channels: Channel[] = [
        [`u:${index % 5_000}`],
        [`t:${index % 40}`, `u:${(index * 7) % 500}`],
        ['everyone'],
        [`t:once/${day}/${index}`]
      ][index % 4] as Channel[]
      return toAlice('x'.repeat(index % 300), {
        channels,
        transient: index % 11 === 0,
        idempotency: idempotent(`${day}/${index}`.padStart(22), { scope: `${index % 3}` })
      })
    })
    max = Math.max(max, await measure())
    t.ok(log().stats().bytes <= bytes * 1.02, `${log().stats().bytes} are counted`)
  }
  t.comment(`Redis uses ${(max / MIB).toFixed(1)} MiB at most, of ${bytes / MIB}`)
  t.ok(max <= bytes * TOLERANCE, `Redis uses ${max} for a bound of ${bytes}`)
})
