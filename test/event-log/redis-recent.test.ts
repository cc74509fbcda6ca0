import t, { type Test } from 'tap'
import type { ReadQuery, ReadResult } from '../../services/event-log/event-log.ts'
import { type RedisLogOptions, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { cutAt } from '../../services/event-log/redis/read-page.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { Listening, toAlice } from '../support/tail-listener.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
t.comment(`TEST_SEED=${SEED}`)

const CHANNELS: readonly Channel[] = ['u:alice', 'u:bob', 't:news', 't:chatty', 'everyone']

/** A node with a listener; beside another over the same Redis, or over a Redis of its own. */
async function open(t: Test, options: RedisLogOptions = {}, beside?: { readonly redis: RedisServer }) {
  const redis = beside?.redis ?? (await RedisServer.start())
  if (beside === undefined) t.teardown(() => redis.stop())
  const log = await redisLog({ url: redis.url, ...options })
  t.teardown(() => log.close())
  return { log, redis, listening: await Listening.to(log) }
}

/** Number of history reads in Redis. */
async function calls(redis: RedisServer): Promise<number> {
  const text = String(await redis.send(['INFO', 'commandstats']))
  return Number(/cmdstat_zrangebyscore:calls=(\d+)/.exec(text)?.[1] ?? 0)
}

function plain({ events, remaining, next, gap }: ReadResult) {
  return {
    events: events.map(({ id, channels, event, data, time, final }) => ({ id, channels, event, data, time, final })),
    remaining,
    next,
    gap
  }
}

t.test(
  'answers reads of recent events like Redis would, with any appends meanwhile',
  { skip: withoutRedis },
  async (t) => {
    for (let run = 0; run < 4; run++) {
      const random = new Random(SEED + run)
      const clock = new FakeClock()
      const retention = {
        user: 4,
        topic: 6,
        everyone: 5,
        age: 600_000,
        channelBytes: 4_000,
        bytes: run === 3 ? 9_000 : 1e9
      }
      const node = await open(t, { clock, retention })
      const { log, listening } = node
      const far = await open(t, { clock, retention }, node)
      const cursors: Cursor[] = [(await log.read({ channels: [], from: 'head', limit: 1 })).next]
      let near = 0
      for (let step = 0; step < 150; step++) {
        const events = Array.from({ length: random.from(1, 4) }, (_, at): NewEvent => {
          const channels = CHANNELS.filter(() => random.chance(0.3))
          return toAlice(`${step}/${at}${'.'.repeat(random.chance(0.1) ? 1_500 : random.from(0, 50))}`, {
            channels: channels.length === 0 ? ['t:chatty'] : channels,
            collapseKey: random.chance(0.2) ? random.pick(['p', 'q']) : undefined,
            ttl: random.chance(0.15) ? 1_000 * random.from(1, 20) : undefined,
            transient: random.chance(0.1),
            final: random.chance(0.1)
          })
        })
        await random.pick([log, far.log]).append(events)
        await listening.met(events.at(-1)?.data as string)
        cursors.push((await log.read({ channels: [], from: 'head', limit: 1 })).next)
        if (random.chance(0.2)) clock.advance(1_000 * random.from(1, 10))
        for (let question = 0; question < 4; question++) {
          const from = random.chance(0.5) ? (cursors.at(-random.from(1, 3)) ?? 'oldest') : random.pick(cursors)
          const strange = random.chance(0.1) ? { ...random.pick(cursors) } : undefined
          if (strange !== undefined) strange.seq = random.pick(cursors).seq
          const query: ReadQuery = {
            channels: CHANNELS.filter(() => random.chance(0.4)),
            from: strange ?? from,
            limit: random.from(1, 8)
          }
          const answer = log.read({ ...query, isTailed: true })
          if (!(answer instanceof Promise)) near++
          t.strictSame(plain(await answer), plain(await log.read(query)), JSON.stringify(query)) || t.bailout()
        }
      }
      t.ok(near > 150, `${near} of 600 were answered from memory`)
    }
  }
)

t.test('judges a TTL by the clock of Redis, however wrong its own is', { skip: withoutRedis }, async (t) => {
  const { log: other, redis } = await open(t)
  for (const error of [10_000, -10_000]) {
    const { now } = Date
    Date.now = () => now() + error
    t.teardown(() => {
      Date.now = now
    })
    const { log, listening } = await open(t, {}, { redis })
    const from = (await log.read({ channels: [], from: 'head', limit: 1 })).next
    await other.append([toAlice(`kept ${error}`, { ttl: 5_000 }), toAlice(`gone ${error}`, { ttl: 50 })])
    await listening.met(`gone ${error}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const page = log.read({ channels: ['u:alice'], from, limit: 9, isTailed: true })
    t.notOk(page instanceof Promise, 'it was answered from memory')
    t.same(
      (page as ReadResult).events.map(({ data }) => data),
      [`kept ${error}`]
    )
    Date.now = now
  }
})

t.test(
  'answers thousands of streams that return at once without a call to Redis',
  { skip: withoutRedis },
  async (t) => {
    const { log, listening, redis } = await open(t)
    const users = Array.from({ length: 1_000 }, (_, at): Channel => `u:${at}`)
    await log.append([toAlice('first', { channels: ['everyone'] })])
    await log.append(users.map((user) => toAlice('hello', { channels: [user] })))
    await log.append([toAlice('end', { channels: ['everyone'] })])
    await listening.met('end')
    const from = listening.events[0]?.cursor as Cursor
    const before = await calls(redis)
    for (const user of [...users, ...users, ...users, ...users, ...users]) {
      const answer = log.read({ channels: [user, 'everyone'], from, limit: 128, isTailed: true }) as ReadResult
      if (answer.events.length !== 2 || answer.remaining !== 0) t.fail(`${user} got ${answer.events?.length}`)
    }
    t.equal(await calls(redis), before)
    t.equal(log.read({ channels: ['u:1'], from, limit: 1, isTailed: true }) instanceof Promise, false)
  }
)

t.test('a node that has just started reads the events of before from Redis', { skip: withoutRedis }, async (t) => {
  const one = await open(t, { retention: { user: 3 } })
  const start = (await one.log.read({ channels: [], from: 'head', limit: 1 })).next
  for (const text of ['a', 'b', 'c']) await one.log.append([toAlice(text)])
  const { log } = await open(t, { retention: { user: 3 } }, one)
  const query: ReadQuery = { channels: ['u:alice'], from: start, limit: 9, isTailed: true }
  const page = log.read(query)
  t.ok(page instanceof Promise)
  t.same(
    (await page).events.map(({ data }) => data),
    ['a', 'b', 'c']
  )
  await one.log.append([toAlice('d')])
  t.match(await log.read(query), { gap: 'evicted', evicted: 1 })
})

t.test(
  'reads from Redis the events that it no longer retains, or must not retain',
  { skip: withoutRedis },
  async (t) => {
    const small = await open(t, { recentBytes: 4_000 })
    const none = await open(t, { recentBytes: 0 }, small)
    for (let at = 0; at < 20; at++) await small.log.append([toAlice(`${at}`.padEnd(300))])
    const last = '19'.padEnd(300)
    await Promise.all([small.listening.met(last), none.listening.met(last)])
    const after = (seq: number) => small.listening.events[seq - 1]?.cursor as Cursor
    const ask = (log: typeof small.log, seq: number) =>
      log.read({ channels: ['u:alice'], from: after(seq), limit: 99, isTailed: true })
    t.notOk(ask(small.log, 19) instanceof Promise)
    for (const [log, seq] of [
      [small.log, 1],
      [none.log, 19]
    ] as const) {
      const answer = ask(log, seq)
      t.ok(answer instanceof Promise)
      t.equal((await answer).events.length, 20 - seq)
    }
    t.notOk(ask(none.log, 20) instanceof Promise, 'the head it knows in any case')
  }
)

t.test(
  'reads old events from Redis for many streams at once, a bounded number at a time',
  { skip: withoutRedis },
  async (t) => {
    const { log, redis } = await open(t)
    await log.append(Array.from({ length: 300 }, (_, at) => toAlice(`${at}`, { channels: [`u:${at}`] })))
    const pages = await Promise.all(
      Array.from({ length: 300 }, async (_, at) => log.read({ channels: [`u:${at}`], from: 'oldest', limit: 9 }))
    )
    t.same(
      pages.map(({ events }) => events[0]?.data),
      Array.from({ length: 300 }, (_, at) => `${at}`)
    )
    t.ok((await calls(redis)) >= 300)
  }
)

t.test('forgets events at half of their maximum age', { skip: withoutRedis }, async (t) => {
  const clock = new FakeClock()
  const { log, listening } = await open(t, { clock, retention: { age: 10_000 } })
  await log.append([toAlice('a'), toAlice('b')])
  await listening.met('b')
  const from = listening.events[0]?.cursor as Cursor
  const query: ReadQuery = { channels: ['u:alice'], from, limit: 9, isTailed: true }
  clock.advance(4_900)
  t.notOk(log.read(query) instanceof Promise)
  clock.advance(200)
  t.ok(log.read(query) instanceof Promise)
  t.same(
    (await log.read(query)).events.map(({ data }) => data),
    ['b']
  )
})

t.test(
  'the position of its tail is that of the next event for the reader: nothing is between',
  { skip: withoutRedis },
  async (t) => {
    const node = await open(t)
    const { log, listening } = node
    const other = await open(t, {}, node)
    const start = (await log.read({ channels: [], from: 'head', limit: 1 })).next
    const appending = Array.from({ length: 200 }, (_, at) => other.log.append([toAlice(`${at}`)]))
    let pages = 0
    while (listening.texts.at(-1) !== '199') {
      const page = log.read({ channels: ['u:alice'], from: start, limit: 1_000, isTailed: true }) as ReadResult
      t.same(
        page.events.map(({ data }) => data),
        listening.texts
      ) || t.bailout()
      pages++
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(appending)
    t.comment(`${pages} pages`)
  }
)

t.test('a page ends where the events of the tail begin', async (t) => {
  const at = (seq: number, epoch = 'abcdefgh') => ({ seq, witness: `${epoch}000000` })
  const events = [1, 2, 3].map((seq) => ({ cursor: at(seq) }) as LogEvent)
  const page = { events, remaining: 1, next: at(3), evicted: 0 }
  const cut = cutAt(page, at(2))
  t.same([cut.events, cut.remaining, cut.next], [events.slice(0, 2), 0, at(2)])
  t.equal(cutAt(page, at(3)), page, 'a head that the page has not passed')
  t.equal(cutAt(page, at(2, 'hgfedcba')), page, 'a head of another epoch')
  const evicted = { ...page, evicted: 3 }
  t.equal(cutAt(evicted, at(2)), evicted, 'an eviction that the tail has not passed')
  const withGap = { ...page, gap: 'evicted' as const }
  t.equal(cutAt(withGap, at(2)), withGap, 'a gap')
})
