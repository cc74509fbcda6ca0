import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { type RedisLog, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { Listening, toAlice } from '../support/tail-listener.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
t.comment(`TEST_SEED=${SEED}`)
t.setTimeout(180_000)

const USERS: readonly Channel[] = ['u:alice', 'u:bob', 'u:carol']
/** Dora has no event any more. */
const READERS: readonly Channel[] = [...USERS, 'u:dora']
const AGE = 3_600_000

async function start(t: Test) {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const clock = new FakeClock()
  const open = async () => {
    const log = await redisLog({ url: redis.url, retention: { user: 20, age: AGE }, clock })
    t.teardown(() => log.close())
    return log
  }
  const keys = async () => ((await redis.send(['KEYS', '{sse-hub}:*'])) as string[]).sort()
  return { redis, open, keys, clock }
}

async function headOf(log: RedisLog): Promise<Cursor> {
  return (await log.read({ channels: [], from: 'head', limit: 1 })).next
}

async function readAfter(log: RedisLog, from: Cursor, channel: Channel) {
  const { events, gap, next } = await log.read({ channels: [channel], from, limit: 1_000 })
  return { texts: events.map(({ data }) => data), gap, next }
}

t.test(
  'a history that Redis has evicted is reported as a gap, before and after the next event',
  { skip: withoutRedis },
  async (t) => {
    for (const isReadFirst of [true, false]) {
      const { redis, open, keys } = await start(t)
      const log = await open()
      const [away, fresh] = [await headOf(log), async () => readAfter(log, away, 'u:alice')]
      for (const text of ['1', '2', '3', '4']) await log.append([toAlice(text)])
      await log.append([toAlice('x', { channels: ['u:bob'] })])
      const head = await headOf(log)
      const [history] = (await keys()).filter((key) => key.endsWith(':c:u:alice')) as [string]
      await redis.send(['DEL', history])
      if (isReadFirst) t.match(await fresh(), { texts: [], gap: 'evicted' })
      await log.append([toAlice('5')])
      t.match(await fresh(), { texts: ['5'], gap: 'evicted' })
      t.match(
        await readAfter(log, head, 'u:alice'),
        { texts: ['5'], gap: undefined },
        'nothing is missing after the head'
      )
      t.match(await readAfter(log, away, 'u:bob'), { texts: ['x'], gap: undefined }, 'nor for others')
      // The entries of the history are deleted piece by piece.
      for (let at = 0; at < 20; at++) await log.append([toAlice('y', { channels: ['u:carol'] })])
      t.equal(log.stats().events, 22)
      t.equal(log.stats().channels, 3)
    }
  }
)

/** Evicted and retained events, in channels that are still used, and in one that is empty. */
async function fill(log: RedisLog, random: Random, clock: FakeClock): Promise<void> {
  await log.append([toAlice('old', { channels: ['u:dora'] })])
  clock.advance(AGE + 1)
  for (let at = 0; at < 80; at++) {
    const channels = USERS.filter(() => random.chance(0.4))
    await log.append([
      toAlice(`${at}`, {
        channels: channels.length === 0 ? [random.pick(USERS)] : channels,
        collapseKey: random.chance(0.2) ? 'p' : undefined,
        ttl: random.chance(0.2) ? 60_000 : undefined,
        idempotency: random.chance(0.2) ? idempotent(`${at}`) : undefined
      })
    ])
  }
}

t.test('the deletion of any single key is healed or reported as a gap', { skip: withoutRedis }, async (t) => {
  const sample = await start(t)
  const model = await sample.open()
  await Listening.to(model)
  await fill(model, new Random(SEED), sample.clock)
  const names = (await sample.keys())
    .map((key) => key.replace(/^\{sse-hub\}:(\w{8}:)?/, '').replace(/^tail:\w+$/, 'tail:'))
    .filter((name) => name !== 'probe')
  t.comment(names.join(' '))
  const outcomes: string[] = []
  for (const name of names) {
    const { redis, open, keys, clock } = await start(t)
    const log = await open()
    const listening = await Listening.to(log)
    const random = new Random(SEED)
    const begin = await headOf(log)
    await fill(log, random, clock)
    const cursors = listening.events.map(({ cursor }) => cursor as Cursor)
    const from = [begin, ...Array.from({ length: 10 }, () => random.pick(cursors)), await headOf(log)]
    // The pages of each reader without a deletion.
    const due = await Promise.all(
      from.map((cursor) => Promise.all(READERS.map((user) => readAfter(log, cursor, user))))
    )
    const [key] = (await keys()).filter((each) =>
      new RegExp(`^\\{sse-hub\\}:(\\w{8}:)?${name.replace(/\W/g, '\\$&')}${name === 'tail:' ? '\\w+' : ''}$`).test(each)
    )
    t.equal(await redis.send(['DEL', key as string]), 1, name)
    const log2 = random.chance(0.5) ? log : await open()
    const more: Record<string, string[]> = Object.fromEntries(USERS.map((user) => [user, []]))
    for (let at = 0; at < 30; at++) {
      const user = random.pick(USERS)
      await log2.append([toAlice(`more ${at}`, { channels: [user] })])
      more[user]?.push(`more ${at}`)
    }
    const gaps = new Set<string>()
    for (const [at, cursor] of from.entries()) {
      for (const [index, user] of READERS.entries()) {
        const page = await readAfter(log2, cursor, user)
        const expected = [...(due[at]?.[index]?.texts ?? []), ...(more[user] ?? [])]
        gaps.add(page.gap ?? 'none')
        const isWhole = expected.every((text) => page.texts.includes(text))
        t.ok(isWhole || page.gap !== undefined, `${name}: ${user} misses nothing from ${cursor.seq} without a gap`)
        const hadGap = due[at]?.[index]?.gap !== undefined
        t.ok(page.gap !== undefined || !hadGap, `${name}: ${user} still has a gap after ${cursor.seq}`)
        t.same(
          page.texts.filter((text) => text.startsWith('more')).slice(-20),
          (more[user] ?? []).slice(-20),
          `${name}: ${user}`
        )
        t.equal((await readAfter(log2, page.next, user)).gap, undefined, `${name}: a gap is reported once`)
      }
    }
    outcomes.push(`${name}: ${[...gaps].join(', ')}`)
    // The hub still works: new events arrive, are counted, and are evicted as usual.
    const head = await headOf(log2)
    for (let at = 0; at < 60; at++) await log2.append([toAlice(`end ${at}`, { channels: [USERS[at % 3] as Channel] })])
    for (const user of USERS) {
      const { texts, gap } = await readAfter(log2, head, user)
      t.same([texts.length, gap], [20, undefined], `${name}: ${user} gets later events`)
    }
    t.equal(log2.stats().events, 60, `${name}: nothing is left over`)
    await Promise.all([log.close(), log2.close()])
    await redis.stop()
  }
  for (const outcome of outcomes) t.comment(outcome)
})
