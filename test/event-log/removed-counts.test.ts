import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Clock } from '../../services/clock.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { resolveRetention } from '../../services/event-log/retention.ts'
import type { Channel } from '../../services/events/channel.ts'
import { type Cursor, parseCursor } from '../../services/events/cursor.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

const AGE = 60_000
const RETENTION = { user: 2, age: AGE }

const draft = (channels: Channel[], more: Partial<NewEvent> = {}): NewEvent => {
  return { channels, event: 'message', data: 'x', transient: false, final: false, streams: 0, ...more }
}

/** Evicts, expires, collapses and retracts, and checks what is counted. */
async function count(t: Test, log: EventLog, clock: FakeClock, other?: EventLog): Promise<void> {
  const removed = () => log.stats().removed
  t.same(removed(), { evicted: 0, expired: 0 })
  for (let at = 0; at < 5; at++) await log.append([draft(['u:alice', 't:room'])])
  t.same(removed(), { evicted: 3, expired: 0 }, 'beyond the bound of the user, and not of the topic')
  await log.append([draft(['t:room'], { collapseKey: 'k' }), draft(['t:room'], { collapseKey: 'k' })])
  const [last] = await log.append([draft(['t:room'])])
  const retracts = parseCursor(last?.id ?? '') as Cursor
  await log.append([draft([], { event: 'hub.retract', data: '{}', retracts })])
  t.same(removed(), { evicted: 3, expired: 0 }, 'neither replaced nor retracted events count')
  await log.append([draft(['t:brief', 't:short'], { ttl: 1_000 })])
  clock.advance(1_001)
  await log.append([draft(['t:other'])])
  t.same(removed(), { evicted: 3, expired: 2 }, 'each channel counts')
  clock.advance(AGE)
  await log.append([draft(['t:other'])])
  // Two of the user; five, one that replaced another, and the retraction of the topic; one of the other topic.
  t.same(removed(), { evicted: 3 + 2 + 5 + 1 + 1 + 1, expired: 2 }, 'too old')
  if (other !== undefined) t.same(other.stats().removed, { evicted: 0, expired: 0 }, 'each node counts what it removes')
}

const options = (clock: Clock) => ({ retention: RETENTION, clock })

t.test('a log in memory counts what it evicts apart from what expires', async (t) => {
  const clock = new FakeClock()
  const log = new MemoryLog({ retention: resolveRetention(RETENTION), idempotencyWindow: 1_000, clock })
  t.teardown(() => log.close())
  await count(t, log, clock)
})

t.test('an embedded log does so, too', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'removed-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  const clock = new FakeClock()
  const log = await embeddedLog({ path, ...options(clock) })
  t.teardown(() => log.close())
  await count(t, log, clock)
})

t.test('and so does a log in Redis', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const clock = new FakeClock()
  const log = await redisLog({ url: server.url, ...options(clock) })
  const other = await redisLog({ url: server.url, ...options(clock) })
  t.teardown(() => log.close())
  t.teardown(() => other.close())
  await count(t, log, clock, other)
  const { roundTrips } = log
  t.ok(roundTrips.count >= 11 && roundTrips.sum > 0, 'the durations of commands are counted')
})
