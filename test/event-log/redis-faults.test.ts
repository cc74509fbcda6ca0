import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { systemClock } from '../../services/clock.ts'
import { type RedisLog, type RedisLogOptions, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { MAX_TRANSIENT_AGE } from '../../services/event-log/redis/redis-tail.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { FakeClock } from '../support/fake-clock.ts'
import type { FakeSink } from '../support/fake-sink.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { RedisServer, type RedisServerOptions, withoutRedis } from '../support/redis-server.ts'
import { Listening, toAlice } from '../support/tail-listener.ts'
import { startHub } from '../support/test-hub.ts'

/** How long Redis is suspended, in milliseconds. */
const FROZEN = Number(process.env.FROZEN_MS ?? 2_500)
const UNAVAILABLE = { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', statusCode: 503 }

t.setTimeout(120_000 + FROZEN)

function faultTest(name: string, body: (t: Test) => Promise<void>): void {
  t.test(name, { skip: withoutRedis }, body)
}

async function startRedis(t: Test, options: RedisServerOptions = {}): Promise<RedisServer> {
  const redis = await RedisServer.start(options)
  t.teardown(() => redis.stop())
  return redis
}

async function open(t: Test, options: RedisLogOptions): Promise<RedisLog> {
  const log = await redisLog({ timeout: 1_000, ...options })
  t.teardown(() => log.close())
  return log
}

async function readAfter(log: RedisLog, from: Cursor | 'oldest') {
  const { events, gap, next } = await log.read({ channels: ['u:alice'], from, limit: 1_000 })
  return { texts: events.map(({ data }) => data), gap, next }
}

async function untilReady(log: RedisLog): Promise<void> {
  while (!(await log.ready())) await pause(10)
}

async function untilDown(log: RedisLog): Promise<void> {
  while (await log.ready()) await pause(10)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

faultTest('continues at its position when Redis is killed and restarts with its data', async (t) => {
  const redis = await startRedis(t, { isDurable: true })
  const logged: string[] = []
  const logger = {
    warn: (_details: object, message: string) => logged.push(message),
    info: (_details: object, message: string) => logged.push(message)
  }
  const log = await open(t, { url: redis.url, logger })
  const listening = await Listening.to(log)
  await log.append([toAlice('a'), toAlice('b')])
  await listening.met('b')
  await redis.kill()
  await untilDown(log)
  await t.rejects(log.append([toAlice('lost')]), UNAVAILABLE)
  await redis.start()
  await untilReady(log)
  await log.append([toAlice('c')])
  await listening.met('c')
  t.same(listening.texts, ['a', 'b', 'c'])
  t.same(listening.discontinuities, [])
  t.match(logged, [/is up/, /is lost/, /is up/])
})

faultTest('reports a discontinuity, and a reset for every cursor, when Redis restarts empty', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a'), toAlice('b')])
  await listening.met('b')
  const { next } = await readAfter(log, 'oldest')
  await redis.kill()
  await redis.start()
  await listening.discontinuity()
  await untilReady(log)
  t.equal(listening.discontinuities[0]?.seq, 0)
  t.match(await readAfter(log, next), { texts: [], gap: 'reset' })
  await log.append([toAlice('c')])
  await listening.met('c')
  t.match(await readAfter(log, next), { texts: ['c'], gap: 'reset' })
})

faultTest('distinguishes a suspended Redis from an idle one, and rejects appends in time', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const other = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await listening.met('a')
  redis.freeze()
  const since = performance.now()
  const keyed = toAlice('b', { idempotency: idempotent('b') })
  await t.rejects(log.append([keyed]), { ...UNAVAILABLE, message: /not known.*same idempotency key/ })
  t.ok(performance.now() - since < 10_000, 'in time')
  await untilDown(log)
  await t.rejects(log.append([keyed]), { ...UNAVAILABLE, message: /Nothing was published/ })
  const from = listening.events.at(-1)?.cursor as Cursor
  t.match(
    log.read({ channels: ['u:alice'], from, limit: 9, isTailed: true }),
    { events: [], remaining: 0 },
    'recent events are still readable'
  )
  await pause(Math.max(0, FROZEN - (performance.now() - since)))
  redis.thaw()
  await untilReady(log)
  await untilReady(other)
  await log.append([keyed])
  await other.append([toAlice('end')])
  await listening.met('end')
  t.same(listening.texts, ['a', 'b', 'end'], 'the same key, once')
  t.same(listening.discontinuities, [])
})

faultTest('reports a discontinuity, and a reset for every cursor, when the store is emptied', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a'), toAlice('b')])
  await listening.met('b')
  const { next } = await readAfter(log, 'oldest')
  await redis.send(['FLUSHALL'])
  await log.append([toAlice('c'), toAlice('d'), toAlice('e')])
  await listening.discontinuity()
  await log.append([toAlice('f')])
  await listening.met('f')
  t.match(await readAfter(log, next), { texts: ['c', 'd', 'e', 'f'], gap: 'reset' })
})

faultTest('reports a discontinuity when entries that a node has not seen are trimmed', async (t) => {
  const redis = await startRedis(t)
  const proxy = await FaultProxy.start(redis.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: proxy.url })
  const other = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await other.append([toAlice('a')])
  await listening.met('a')
  proxy.cut()
  await untilDown(log)
  for (const text of ['b', 'c', 'd']) await other.append([toAlice(text)])
  const [tail] = (await redis.send(['KEYS', '*:tail:*'])) as [string]
  await redis.send(['XTRIM', tail, 'MAXLEN', '0'])
  proxy.restore()
  await listening.discontinuity()
  t.equal(listening.discontinuities[0]?.seq, 4)
  await untilReady(log)
  t.same((await readAfter(log, 'oldest')).texts, ['a', 'b', 'c', 'd'], 'the history is complete')
  await other.append([toAlice('e')])
  await listening.met('e')
  t.same(listening.texts, ['a', 'e'])
})

faultTest('continues when entries that all nodes have seen are trimmed', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await listening.met('a')
  const [tail] = (await redis.send(['KEYS', '*:tail:*'])) as [string]
  await redis.send(['DEL', tail])
  await log.append([toAlice('b')])
  await listening.met('b')
  t.same([listening.texts, listening.discontinuities], [['a', 'b'], []])
})

faultTest('recovers from foreign entries in the tail', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await listening.met('a')
  // A node that finds such an entry begins a new tail.
  const tailOf = async () => ((await redis.send(['KEYS', '*:tail:*'])) as [string])[0]
  await redis.send(['XADD', await tailOf(), '*', 'foo', 'bar'])
  await listening.discontinuity()
  await log.append([toAlice('b')])
  await listening.met('b')
  await redis.send(['XADD', await tailOf(), '2-1', 'p', 'x'])
  await listening.discontinuity(2)
  await log.append([toAlice('c')])
  await listening.met('c')
  // And an append that comes before any node has read them.
  const tail = await tailOf()
  await Promise.all([redis.send(['XADD', tail, '99-0', 'foo', 'bar']), log.append([toAlice('d')])])
  await log.append([toAlice('e')])
  // Chance decides whether the node reads them: then the discontinuity may lie after the last append.
  await Promise.race([listening.met('e'), listening.discontinuity(3)])
  await log.append([toAlice('f')])
  await listening.met('f')
  t.same((await readAfter(log, 'oldest')).texts, ['a', 'b', 'c', 'd', 'e', 'f'])
})

faultTest('treats entries that others have damaged or deleted as holes, and reports them', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const { next } = await readAfter(log, 'oldest')
  await log.append(['a', 'b', 'c', 'd', 'e'].map((text) => toAlice(text)))
  const [events] = (await redis.send(['KEYS', '*:events'])) as [string]
  await redis.send(
    ['HDEL', events, '2'],
    ['HSET', events, '3', 'garbage'],
    ['HSET', events, '4', 'abcdef 1 -1\n[\n\n-\nx']
  )
  t.match(await readAfter(log, next), { texts: ['a', 'e'], gap: 'evicted' })
  const { evicted } = await log.read({ channels: ['u:alice'], from: 'oldest', limit: 9 })
  t.ok(evicted >= 3)
  await redis.send(['HDEL', events, '1', '4', '5'])
  t.match(await readAfter(log, next), { texts: [], gap: 'evicted' })
  await log.append([toAlice('f')])
  t.match(await readAfter(log, next), { texts: ['f'], gap: 'evicted' })
})

faultTest('recognises cursors that a failover has lost, though their numbers are given again', async (t) => {
  const master = await startRedis(t)
  const replica = await startRedis(t)
  const proxy = await FaultProxy.start(master.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: proxy.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a'), toAlice('b'), toAlice('c')])
  await replica.follow(master)
  await replica.send(['REPLICAOF', 'NO', 'ONE'])
  await log.append([toAlice('lost 1')])
  await log.append([toAlice('lost 2')])
  await listening.met('lost 2')
  const { next } = await readAfter(log, 'oldest')
  await master.kill()
  proxy.target = replica.port
  await listening.discontinuity()
  await untilReady(log)
  t.match(await readAfter(log, next), { texts: ['a', 'b', 'c'], gap: 'diverged' })
  for (const text of ['d', 'e', 'f']) await log.append([toAlice(text)])
  await listening.met('f')
  t.same(listening.discontinuities[0]?.seq, 4, 'the loss has taken a number')
  t.match(await readAfter(log, next), { texts: ['a', 'b', 'c', 'd', 'e', 'f'], gap: 'diverged' })
  t.same(listening.texts.slice(-3), ['d', 'e', 'f'])
})

faultTest('recognises a loss by a failover between two checks, with more appends since', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await listening.met('a')
  const goBack = await redis.snapshot('{sse-hub}:*')
  for (const text of ['lost 1', 'lost 2']) await log.append([toAlice(text)])
  await listening.met('lost 2')
  await goBack()
  for (const text of ['b', 'c', 'd', 'e']) await log.append([toAlice(text)])
  await listening.discontinuity()
  await log.append([toAlice('f')])
  await listening.met('f')
  t.same((await readAfter(log, 'oldest')).texts, ['a', 'b', 'c', 'd', 'e', 'f'])
})

faultTest('rejects events for which there is no memory, reports why, and still answers reads', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await redis.send(['CONFIG', 'SET', 'maxmemory', '1'])
  await t.rejects(log.append([toAlice('b')]), { ...UNAVAILABLE, message: /OOM.*Nothing was published/ })
  t.equal(await log.ready(), false)
  t.same((await readAfter(log, 'oldest')).texts, ['a'])
  await redis.send(['CONFIG', 'SET', 'maxmemory', '0'])
  t.equal(await log.ready(), true)
  await log.append([toAlice('c')])
  await listening.met('c')
  t.same(listening.texts, ['a', 'c'])
})

faultTest('loads its scripts again when Redis has forgotten them', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url })
  await log.append([toAlice('a')])
  await redis.send(['SCRIPT', 'FLUSH'])
  await Promise.all(['b', 'c'].map((text) => log.append([toAlice(text)])))
  t.same((await readAfter(log, 'oldest')).texts, ['a', 'b', 'c'])
})

faultTest('dispatches the other events of an append with an unreadable entry', async (t) => {
  const redis = await startRedis(t)
  const problems: string[] = []
  const logger = { warn: (_details: object, message: string) => problems.push(message), info: () => {} }
  const log = await open(t, { url: redis.url, logger })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await listening.met('a')
  // Writes an append with an event that no hub writes: first without a number, then with one.
  const corrupt = async (position: number, fields: readonly string[]) => {
    const [tail] = (await redis.send(['KEYS', '*:tail:*'])) as [string]
    const [, tails, id] = /^(.*:tail)s?:(\w+)$/.exec(tail) as unknown as [string, string, string]
    const row = String(await redis.send(['HGET', `${tails}s`, id])).split(' ')
    const [head, witness] = (await redis.send(['HMGET', '{sse-hub}:state', 'head', 'witness'])) as string[]
    const name = `spoilt${position}`
    const own = ['n', `${row[1]} ${name} ${head} ${witness} ${row[4]}`, 'x', '']
    await redis.send(
      ['MULTI'],
      ['HSET', `${tails}s`, id, [position, name, ...row.slice(2)].join(' ')],
      ['XADD', tail, `${position}-0`, ...own, ...fields],
      ['EXEC']
    )
  }
  const entry = (text: string) => `abcdef ${Date.now()} -1\n["u:alice"]\n\n-"message"\n${text}`
  await corrupt(2, ['-', 'garbage', '-', entry('transient 1')])
  await listening.met('transient 1')
  t.same([listening.texts, listening.discontinuities], [['a', 'transient 1'], []])
  await corrupt(3, ['2', 'garbage', '-', entry('transient 2'), '-', `abcdef 1 -1\n["u:alice"]\n\n-"\\n"\nx`])
  await listening.met('transient 2')
  t.equal(listening.discontinuities.length, 1, 'numbered events are read from history')
  await log.append([toAlice('b')])
  await listening.met('b')
  t.same(listening.texts, ['a', 'transient 1', 'transient 2', 'b'])
  t.equal(problems.filter((message) => /cannot be read/.test(message)).length, 2)
})

faultTest('a listener that throws keeps no event from the others', async (t) => {
  const redis = await startRedis(t)
  const problems: string[] = []
  const logger = { warn: (_details: object, message: string) => problems.push(message), info: () => {} }
  const log = await open(t, { url: redis.url, logger })
  const fail = () => {
    throw new Error('as the test has it')
  }
  await log.tail({ onEvents: fail, onDiscontinuity: fail })
  const listening = await Listening.to(log)
  await Promise.all(['a', 'b'].map((text) => log.append([toAlice(text)])))
  await log.append([toAlice('c')])
  await listening.met('c')
  t.same([listening.texts, listening.discontinuities], [['a', 'b', 'c'], []])
  t.ok(problems.includes('a listener of the event log has failed'))
})

faultTest('accepts all first appends of nodes that begin at the same time', async (t) => {
  for (let round = 0; round < 5; round++) {
    const redis = await startRedis(t)
    const proxy = await FaultProxy.start(redis.port)
    t.teardown(() => proxy.close())
    const [log, other] = [await open(t, { url: proxy.url }), await open(t, { url: redis.url })]
    proxy.delay = 30
    const first = log.append([toAlice('first')])
    // The first call has reached Redis, which knew no script, when the other node loads it.
    await pause(34)
    const second = log.append([toAlice('second')])
    await Promise.all([first, second, other.append([toAlice('other')])])
    const texts = (await readAfter(log, 'oldest')).texts.filter((text) => text !== 'other')
    t.same(texts, ['first', 'second'])
  }
})

faultTest('keeps its batches in order when another node loads the script that Redis has forgotten', async (t) => {
  const redis = await startRedis(t)
  const proxy = await FaultProxy.start(redis.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: proxy.url })
  const other = await open(t, { url: redis.url })
  await log.append([toAlice('start')])
  proxy.delay = 30
  for (let round = 0; round < 5; round++) {
    const outcomes: string[] = []
    const append = (text: string) =>
      log.append([toAlice(text)]).then(
        () => outcomes.push(`${text} accepted`),
        ({ message }: Error) => outcomes.push(`${text} ${message}`)
      )
    await redis.send(['SCRIPT', 'FLUSH'])
    const first = append(`${round} first`)
    // The first call has reached Redis, which has forgotten the script, when the other node loads it.
    await pause(34)
    const second = append(`${round} second`)
    await other.append([toAlice('other')])
    await Promise.all([first, second])
    const [, ...all] = (await readAfter(log, 'oldest')).texts.filter((text) => text.startsWith(`${round} `))
    t.ok(all.length === 0 || all[0] === `${round} second`, `round ${round}: ${outcomes}`)
  }
})

faultTest('leaves a server that has become a replica, and finds the new master behind the same address', async (t) => {
  const master = await startRedis(t)
  const replica = await startRedis(t)
  const proxy = await FaultProxy.start(master.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: proxy.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await listening.met('a')
  await replica.follow(master)
  await replica.send(['REPLICAOF', 'NO', 'ONE'])
  await master.follow(replica)
  proxy.target = replica.port
  await t.rejects(log.append([toAlice('refused')]), { ...UNAVAILABLE, message: /READONLY.*Nothing was published/ })
  await untilReady(log)
  await log.append([toAlice('b')])
  // The tail reads without an error from a replica, until its connection is lost.
  await listening.met('b')
  t.same((await readAfter(log, 'oldest')).texts, ['a', 'b'])
})

faultTest('leaves for good a server that its appends have left, whose tail would receive nothing', async (t) => {
  const redis = await startRedis(t)
  const stale = await startRedis(t)
  const proxy = await FaultProxy.start(stale.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: proxy.url })
  const listening = await Listening.to(log)
  await log.append([toAlice('old')])
  await listening.met('old')
  await redis.follow(stale)
  await redis.send(['REPLICAOF', 'NO', 'ONE'])
  // The address leads elsewhere, and only the publishing connection has noticed.
  proxy.target = redis.port
  proxy.reset(1)
  await untilReady(log)
  await log.append([toAlice('new')])
  await listening.met('new')
  t.same([listening.texts, listening.discontinuities], [['old', 'new'], []])
})

faultTest('refuses a store that another version has written', async (t) => {
  const redis = await startRedis(t)
  await redis.send(['HSET', '{sse-hub}:state', 'format', '99', 'life', 'aaaaaaaa'])
  const log = await open(t, { url: redis.url })
  await t.rejects(log.append([toAlice('a')]), { ...UNAVAILABLE, message: /format 99/ })
  await t.rejects(readAfter(log, 'oldest'), { ...UNAVAILABLE, message: /format 99/ })
  await t.rejects(Listening.to(log), { ...UNAVAILABLE, message: /format 99/ })
})

faultTest('works over a slow connection that splits its bytes one by one', async (t) => {
  const redis = await startRedis(t)
  const proxy = await FaultProxy.start(redis.port)
  t.teardown(() => proxy.close())
  proxy.delay = 20
  proxy.split = 1
  const log = await open(t, { url: proxy.url })
  const listening = await Listening.to(log)
  const texts = Array.from({ length: 50 }, (_, at) => `é☃ ${at}`)
  await Promise.all(texts.map((text) => log.append([toAlice(text)])))
  await listening.met('é☃ 49')
  t.same(listening.texts, texts)
  t.same((await readAfter(log, 'oldest')).texts, texts)
})

faultTest('keeps the events of a batch together, though its connection is cut at any time', async (t) => {
  const redis = await startRedis(t)
  const proxy = await FaultProxy.start(redis.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: proxy.url })
  const other = await open(t, { url: redis.url })
  const listening = [await Listening.to(log), await Listening.to(other)]
  const outcomes = { taken: 0, refused: 0, unknown: 0 }
  for (let round = 0; round < 40; round++) {
    const events = ['x', 'y', 'z'].map((text) =>
      toAlice(`${round}${text}`, { idempotency: idempotent(`${round}${text}`) })
    )
    const appending = log.append(events).then(
      () => outcomes.taken++,
      ({ message }: Error) => {
        if (/not known/.test(message)) outcomes.unknown++
        else outcomes.refused++
        return untilReady(log).then(() => log.append(events))
      }
    )
    if (round % 3 === 0) setImmediate(() => proxy.reset())
    await appending
  }
  t.comment(outcomes)
  await other.append([toAlice('end')])
  const all = Array.from({ length: 40 }, (_, round) => [`${round}x`, `${round}y`, `${round}z`]).flat()
  for (const each of listening) {
    await each.met('end')
    t.same(each.texts, [...all, 'end'])
    t.same(each.discontinuities, [])
  }
  t.ok(outcomes.unknown + outcomes.refused > 0, 'some were cut')
})

faultTest('queues no more than a bounded number of events while Redis is slow', async (t) => {
  const redis = await startRedis(t)
  const log = await open(t, { url: redis.url, timeout: 60_000 })
  redis.freeze()
  const outcomes = await Promise.allSettled([
    ...Array.from({ length: 30_000 }, () => log.append([toAlice('a')])).map((appending, at) =>
      at < 20_000 ? Promise.race([appending, pause(0)]) : appending.finally(() => redis.thaw())
    )
  ])
  const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
  t.ok(refused.length > 5_000 && refused.length < 15_000, `${refused.length} were rejected`)
  t.match(refused[0]?.reason, { ...UNAVAILABLE, message: /too many events wait.*Nothing was published/ })
})

faultTest('drops transient events that a node reads too late', async (t) => {
  const redis = await startRedis(t)
  const proxy = await FaultProxy.start(redis.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: redis.url })
  const cutOff = await open(t, { url: proxy.url })
  const [near, far] = [await Listening.to(log), await Listening.to(cutOff)]
  const transient = { transient: true }
  await log.append([toAlice('a'), toAlice('passing a', transient)])
  await far.met('passing a')
  proxy.cut()
  await untilDown(cutOff)
  await log.append([toAlice('b'), toAlice('late', transient)])
  await near.met('late')
  await pause(MAX_TRANSIENT_AGE)
  await log.append([toAlice('c'), toAlice('in time', transient)])
  proxy.restore()
  await far.met('in time')
  t.same(near.texts, ['a', 'passing a', 'b', 'late', 'c', 'in time'])
  t.same(far.texts, ['a', 'passing a', 'b', 'c', 'in time'])
  t.same(far.discontinuities, [])
})

faultTest('passes a stream no transient event from before it was opened, and all from after', async (t) => {
  const redis = await startRedis(t)
  const proxy = await FaultProxy.start(redis.port)
  t.teardown(() => proxy.close())
  const log = await open(t, { url: redis.url })
  const cutOff = await open(t, { url: proxy.url })
  const near = await Listening.to(log)
  const clock = systemClock
  const { open: openStream } = await startHub(t, { log: cutOff, clock: clock as unknown as FakeClock })
  const there = openStream().sink
  const textsOf = ({ events }: FakeSink) => events.filter(({ event }) => event === 'message').map(({ data }) => data)
  // By then the node's interest in the events of alice is registered.
  await log.append([toAlice('open')])
  while (!textsOf(there).includes('open')) await pause(5)
  proxy.cut()
  await untilDown(cutOff)
  await log.append([toAlice('before', { transient: true })])
  await near.met('before')
  await pause(20)
  const { sink } = openStream()
  await pause(20)
  await log.append([toAlice('after', { transient: true })])
  proxy.restore()
  while (!textsOf(sink).includes('after')) await pause(5)
  t.same(textsOf(there), ['open', 'before', 'after'])
  t.same(textsOf(sink), ['after'], 'its client may have received the first from another node')
})

faultTest('logs once why the tail cannot be read, and continues when it can', async (t) => {
  const redis = await startRedis(t)
  await redis.send(['ACL', 'SETUSER', 'hub', 'on', '>pw', '~*', '+@all'])
  const reasons: string[] = []
  const warn = ({ err }: { err?: Error }, message: string) => {
    if (err !== undefined) reasons.push(`${message}: ${err.message}`)
  }
  const log = await open(t, { url: `redis://hub:pw@127.0.0.1:${redis.port}`, logger: { warn, info: () => {} } })
  const listening = await Listening.to(log)
  await redis.send(['ACL', 'SETUSER', 'hub', '-xread'])
  while (reasons.length === 0) await pause(10)
  await pause(1_500)
  t.match(reasons, [/^the tail of the event log cannot be read: NOPERM/])
  t.equal(reasons.length, 1)
  await redis.send(['ACL', 'SETUSER', 'hub', '+xread'])
  await log.append([toAlice('a')])
  await listening.met('a')
})
