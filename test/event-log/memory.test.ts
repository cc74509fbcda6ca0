import t from 'tap'
import { eventLogContract } from '../../event-log-contract/contract.ts'
import { idempotent } from '../../event-log-contract/given.ts'
import type { ReadFrom } from '../../services/event-log/event-log.ts'
import { EmptiedChannels } from '../../services/event-log/memory/emptied-channels.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import type { Retention } from '../../services/event-log/retention.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
t.comment(`SEED=${seed}`)

const DAY = 86_400_000

t.test('keeps the contract of event logs', async (t) => {
  const clocks = new WeakMap<MemoryLog, FakeClock>()
  eventLogContract({
    test: (name, body) =>
      t.test(name, async (t) => {
        await body()
        t.pass(name)
      }),
    createLog(bounds) {
      const clock = new FakeClock()
      const log = new MemoryLog({ ...bounds, clock })
      clocks.set(log, clock)
      return log
    },
    advance: (log, milliseconds) => clocks.get(log)?.advance(milliseconds),
    seed
  })
})

function memoryLog(retention: Partial<Retention> = {}): { log: MemoryLog; clock: FakeClock } {
  const clock = new FakeClock()
  return {
    log: new MemoryLog({ retention: { ...DEFAULT_RETENTION, ...retention }, idempotencyWindow: 60_000, clock }),
    clock
  }
}

function draft(to: Channel | readonly Channel[], data = '', rest: Partial<NewEvent> = {}): NewEvent {
  const channels = typeof to === 'string' ? [to] : to
  return { channels, event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}

function drafts(count: number, make: (index: number) => NewEvent): NewEvent[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

/** '0', '1', … */
function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${index}`)
}

function read(log: MemoryLog, channel: Channel, from: ReadFrom = 'oldest') {
  const { events, next, evicted, gap } = log.read({ channels: [channel], from, limit: 1_000_000 })
  return { texts: events.map((event) => event.data), next, evicted, gap }
}

/** The data, the gap and the last evicted number that a read returns. */
function report(log: MemoryLog, channel: Channel, from: ReadFrom) {
  const { texts, evicted, gap } = read(log, channel, from)
  return { texts, evicted, gap }
}

const NOTHING = { kind: 'memory', events: 0, bytes: 0, channels: 0, hasInboxes: false, removed: undefined }

t.test('age, TTL and the window of idempotency keys do not depend on the wall clock', async (t) => {
  const { log, clock } = memoryLog({ age: 10_000 })
  const start = read(log, 'u:alice').next
  await log.append([draft('u:alice', 'a', { idempotency: idempotent('k') }), draft('u:alice', 'b', { ttl: 5_000 })])
  for (const jump of [DAY, -2 * DAY, DAY]) {
    clock.wall += jump
    t.strictSame(
      report(log, 'u:alice', start),
      { texts: ['a', 'b'], evicted: 0, gap: undefined },
      `after a jump of ${jump / DAY} days`
    )
    const [repeat] = await log.append([draft('u:alice', 'a', { idempotency: idempotent('k') })])
    t.equal(repeat?.isRepeat, true)
  }
  clock.wall -= DAY
  clock.advance(5_000)
  t.strictSame(
    report(log, 'u:alice', start),
    { texts: ['a'], evicted: 0, gap: undefined },
    'the TTL is over after its time'
  )
  clock.advance(5_000)
  t.strictSame(report(log, 'u:alice', start), { texts: [], evicted: 1, gap: 'evicted' }, 'and the age after its')
})

t.test('the order of events is that of the sequence, even if the wall clock went back between them', async (t) => {
  const { log, clock } = memoryLog()
  await log.append([draft('u:alice', 'first')])
  clock.wall -= DAY
  await log.append([draft('u:alice', 'second')])
  const { events } = log.read({ channels: ['u:alice'], from: 'oldest', limit: 9 })
  t.same(
    events.map(({ data }) => data),
    ['first', 'second']
  )
  t.same((events[0]?.time ?? 0) - (events[1]?.time ?? 0), DAY, 'each has the wall-clock time of its append')
})

t.test('an event is gone at the very moment when its age or its TTL is reached', async (t) => {
  const { log, clock } = memoryLog({ age: 1_000 })
  await log.append([draft('u:alice', 'a'), draft('u:bob', 'b', { ttl: 500 })])
  clock.advance(499)
  t.same(read(log, 'u:bob').texts, ['b'])
  clock.advance(1)
  t.same(read(log, 'u:bob').texts, [])
  clock.advance(499)
  t.same(read(log, 'u:alice').texts, ['a'])
  clock.advance(1)
  t.same(read(log, 'u:alice').texts, [])
})

t.test('nothing is left of events that are gone, for any reason', async (t) => {
  const ways: Record<string, (log: MemoryLog, clock: FakeClock) => unknown> = {
    'of age': (_log, clock) => clock.advance(DAY),
    'by their ttl': (_log, clock) => clock.advance(1_000),
    'by half and half': (_log, clock) => {
      clock.advance(1_000)
      clock.advance(DAY)
    }
  }
  for (const [way, remove] of Object.entries(ways)) {
    const { log, clock } = memoryLog({ age: way === 'by their ttl' ? 2 * DAY : DAY })
    const ttl =
      way === 'by their ttl' ? () => 1_000 : (index: number) => (way === 'of age' || index % 2 ? undefined : 1_000)
    const channels = (index: number): Channel[] => ['everyone', `u:${index % 7}`, `t:${index % 3}`]
    const collapseKey = (index: number) => (index % 5 ? undefined : `${index % 4}`)
    await log.append(
      drafts(100, (index) =>
        draft(channels(index), 'x'.repeat(index), { ttl: ttl(index), collapseKey: collapseKey(index) })
      )
    )
    t.ok(log.stats().bytes > 0)
    remove(log, clock)
    read(log, 'everyone')
    t.strictSame({ ...log.stats(), bytes: 0, removed: undefined }, { ...NOTHING, head: 100 }, way)
    // The mark of each channel with an eviction remains.
    if (way === 'by their ttl') t.equal(log.stats().bytes, 0)
    else t.ok(log.stats().bytes < 11 * 100, `${log.stats().bytes} bytes of marks`)
  }
})

t.test('nothing is left of events whose kinds of channels may retain none', async (t) => {
  const { log } = memoryLog({ user: 0, topic: 0, everyone: 0 })
  await log.append(drafts(50, () => draft(['u:alice', 't:news', 'everyone'], 'x', { ttl: 1_000, collapseKey: 'k' })))
  const { bytes, ...stats } = log.stats()
  t.strictSame({ ...stats, bytes: 0, removed: undefined }, { ...NOTHING, head: 50 })
  t.ok(bytes < 300, `${bytes} bytes of marks`)
})

t.test('the bookkeeping of emptied channels has an eighth of the total bound at most, and is counted', async (t) => {
  const { log } = memoryLog({ user: 0, bytes: 1_000_000 })
  const start = read(log, 'u:alice').next
  for (let at = 0; at < 20_000; at += 1_000) {
    await log.append(drafts(1_000, (index) => draft(`u:${`${at + index}`.padStart(200, '.')}`)))
    t.ok(log.stats().bytes <= 1_000_000 / 8 + 300, `${log.stats().bytes} bytes`)
  }
  for (const at of [0, 19_999]) t.equal(report(log, `u:${`${at}`.padStart(200, '.')}`, start).gap, 'evicted')
})

t.test('topics by the thousand evict topics, and leave the history of users and of everyone', async (t) => {
  const { log } = memoryLog({ bytes: 1_000_000 })
  const start = read(log, 'u:alice').next
  await log.append(drafts(100, (index) => draft('u:alice', `a${index}`.padStart(1_000))))
  await log.append(drafts(10, (index) => draft('everyone', `e${index}`.padStart(1_000))))
  for (let batch = 0; batch < 125; batch++) {
    await log.append(drafts(1_000, (index) => draft(`t:reports/${batch}/${index}`, 'x')))
  }
  t.ok(log.stats().bytes <= 1_000_000)
  t.equal(report(log, 'u:alice', start).texts.length, 100)
  t.equal(report(log, 'everyone', start).texts.length, 10)
})

t.test('users by the thousand leave topics their share', async (t) => {
  const { log } = memoryLog({ bytes: 1_000_000 })
  const start = read(log, 'u:alice').next
  await log.append(drafts(400, (index) => draft('t:news', `a${index}`.padStart(1_000))))
  for (let batch = 0; batch < 20; batch++) {
    await log.append(drafts(1_000, (index) => draft(`u:${batch}/${index}`, 'x')))
  }
  const { texts, gap } = report(log, 't:news', start)
  t.equal(gap, 'evicted', 'the topics beyond their share are evicted')
  t.ok(texts.length > 80 && texts.length < 400, `${texts.length} are left`)
})

t.test('idempotency keys count, and of too many the scope with the most forgets its keys first', async (t) => {
  const { log } = memoryLog({ bytes: 1_000_000 })
  const keyed = (scope: string, key: string) =>
    draft('u:alice', '', { transient: true, idempotency: idempotent(key, { scope }) })
  await log.append([keyed('quiet', 'k')])
  await log.append(drafts(300, () => draft('u:alice', 'x'.repeat(1_000))))
  for (let batch = 0; batch < 10; batch++) {
    await log.append(drafts(1_000, (index) => keyed('flood', `${batch}/${index}`)))
    t.ok(log.stats().bytes <= 1_000_000, `${log.stats().bytes} bytes`)
  }
  t.equal(read(log, 'u:alice').texts.length, 300, 'no event is evicted for keys')
  const receipts = await log.append([keyed('quiet', 'k'), keyed('flood', '9/999'), keyed('flood', '0/0')])
  t.same(
    receipts.map(({ isRepeat }) => isRepeat),
    [true, true, false]
  )
})

t.test(
  'an event counts once in the total, however many channels retain it, until the last has released it',
  async (t) => {
    const { log } = memoryLog({ user: 1, topic: 2 })
    await log.append([draft(['u:alice', 'u:bob', 't:news'], 'x'.repeat(10_000))])
    const { bytes } = log.stats()
    t.ok(bytes > 20_000 && bytes < 30_000, `${bytes} bytes`)
    await log.append([draft('u:alice'), draft('u:bob'), draft('t:news')])
    t.equal(log.stats().events, 4)
    t.ok(log.stats().bytes > bytes)
    await log.append([draft('t:news')])
    t.equal(log.stats().events, 4, 'the topic had been the last')
    t.ok(log.stats().bytes < bytes)
  }
)

t.test('a text that is not ASCII weighs as much as in memory, which is two bytes a letter', async (t) => {
  const weigh = async (data: string) => {
    const { log } = memoryLog()
    await log.append([draft('u:alice', data)])
    return log.stats().bytes
  }
  const plain = await weigh('x'.repeat(10_000))
  t.equal((await weigh(`${'x'.repeat(9_999)}☃`)) - plain, 20_000)
})

t.test('a chatty topic never evicts the notifications of a user', async (t) => {
  const { log } = memoryLog({ bytes: 1_000_000, topic: 1_000_000, channelBytes: 100_000_000 })
  const start = read(log, 'u:alice').next
  await log.append(drafts(20, (index) => draft('u:alice', `${index}`)))
  for (let batch = 0; batch < 50; batch++) await log.append(drafts(100, () => draft('t:chatty', 'x'.repeat(500))))
  t.strictSame(report(log, 'u:alice', start), {
    texts: numbers(20),
    evicted: 0,
    gap: undefined
  })
  t.equal(read(log, 't:chatty', start).gap, 'evicted')
  t.ok(read(log, 't:chatty').texts.length > 500)
  t.ok(log.stats().bytes <= 1_000_000)
})

t.test('many chatty topics evict before a user with few events', async (t) => {
  const { log } = memoryLog({ bytes: 2_000_000 })
  const start = read(log, 'u:alice').next
  await log.append([draft('u:alice', 'hers')])
  await log.append(drafts(5_000, (index) => draft(`t:${index % 100}`, 'x'.repeat(500))))
  t.strictSame(report(log, 'u:alice', start), { texts: ['hers'], evicted: 0, gap: undefined })
  const retained = numbers(100).map((number) => read(log, `t:${number}`).texts.length)
  t.ok(
    Math.max(...retained) - Math.min(...retained) <= 1,
    `they evict in turns: ${Math.min(...retained)} to ${Math.max(...retained)} are left`
  )
})

t.test('when the log is full the heaviest channel evicts, and not those of half its weight', async (t) => {
  const { log } = memoryLog({ bytes: 1_000_000 })
  const start = read(log, 'u:alice').next
  await log.append(drafts(100, (index) => draft(`u:${index % 4}`, 'x'.repeat(500))))
  await log.append(drafts(200, () => draft('t:middling', 'x'.repeat(500))))
  await log.append(drafts(2_000, () => draft('t:heavy', 'x'.repeat(500))))
  for (const channel of ['u:0', 'u:1', 'u:2', 'u:3', 't:middling'] as const)
    t.equal(read(log, channel, start).gap, undefined, channel)
  t.equal(read(log, 't:heavy', start).gap, 'evicted')
})

t.test('one event that exceeds the bound of the whole log is dispatched, and evicts nothing else', async (t) => {
  const { log } = memoryLog({ bytes: 100_000 })
  const start = read(log, 'u:alice').next
  const dispatched: number[] = []
  await log.tail({
    onEvents: (events) => dispatched.push(...events.map(({ data }) => data.length)),
    onDiscontinuity: () => {}
  })
  await log.append(drafts(20, () => draft('u:alice', 'xyz')))
  await log.append([draft('t:huge', 'x'.repeat(200_000))])
  t.equal(dispatched.at(-1), 200_000)
  t.strictSame(report(log, 't:huge', start), { texts: [], evicted: 21, gap: 'evicted' })
  t.strictSame(report(log, 'u:alice', start), { texts: Array(20).fill('xyz'), evicted: 0, gap: undefined })
})

t.test('a channel that exceeds its bytes keeps its newest event, and evicts its older ones', async (t) => {
  const { log } = memoryLog({ channelBytes: 10_000 })
  await log.append(drafts(3, (index) => draft('t:news', `${index}`.repeat(1_000))))
  t.equal(read(log, 't:news').texts.length, 3)
  await log.append([draft('t:news', 'x'.repeat(50_000)), draft('t:other', 'y')])
  t.same(
    read(log, 't:news').texts.map((text) => text.length),
    [50_000]
  )
  t.equal(read(log, 't:news').evicted, 3)
  await log.append([draft('t:news', 'z')])
  t.same(read(log, 't:news').texts, ['z'])
})

t.test('the number of remaining events is exact in a long channel with holes, from any cursor', async (t) => {
  const { log, clock } = memoryLog({ topic: 5_000 })
  const start = read(log, 't:news').next
  const isShort = (index: number) => index % 3 === 0 || (index > 2_000 && index < 3_500 && index % 50 > 2)
  await log.append(drafts(6_000, (index) => draft('t:news', '', isShort(index) ? { ttl: 10 } : {})))
  clock.advance(10)
  const { events } = log.read({ channels: ['t:news'], from: 'oldest', limit: 10_000 })
  const from = [start, ...events.flatMap(({ cursor }) => cursor ?? [])]
  const remaining = from.map((cursor) => log.read({ channels: ['t:news'], from: cursor, limit: 1 }).remaining)
  const expected = from.map((_, index) => Math.max(0, events.length - index - 1))
  t.ok(events.length > 2_000 && events.length < 3_000, `${events.length} are retained of 5,000`)
  t.strictSame(remaining, expected)
})

t.test('a channel that has been emptied keeps its last evicted number, and continues from there', async (t) => {
  const { log, clock } = memoryLog({ age: 1_000, user: 2 })
  const start = read(log, 'u:alice').next
  await log.append([draft('u:alice', '1'), draft('u:alice', '2')])
  clock.advance(1_000)
  t.strictSame(report(log, 'u:alice', start), { texts: [], evicted: 2, gap: 'evicted' })
  t.equal(log.stats().channels, 0)
  await log.append([draft('u:alice', '3')])
  t.strictSame(report(log, 'u:alice', start), { texts: ['3'], evicted: 2, gap: 'evicted' })
  await log.append([draft('u:alice', '4', { ttl: 10 }), draft('u:alice', '5', { ttl: 10 })])
  t.strictSame(report(log, 'u:alice', 'oldest'), { texts: ['4', '5'], evicted: 3, gap: undefined })
  clock.advance(10)
  t.strictSame(
    report(log, 'u:alice', start),
    { texts: [], evicted: 3, gap: 'evicted' },
    'an expired event is no gap, an evicted one is'
  )
  t.equal(log.stats().channels, 0)
})

t.test(
  'of very many emptied channels some are forgotten, which may report a gap too many and never one too few',
  async (t) => {
    const { log } = memoryLog({ user: 0 })
    const start = read(log, 'u:nobody').next
    const count = 130_000
    for (let at = 0; at < count; at += 1_000) await log.append(drafts(1_000, (index) => draft(`u:${at + index}`)))
    t.equal(log.stats().channels, 0)
    let silent = 0
    let exact = 0
    for (let user = 0; user < count; user++) {
      const { gap, evicted } = read(log, `u:${user}`, start)
      if (gap !== 'evicted' || evicted < user + 1) silent++
      if (evicted === user + 1) exact++
    }
    t.equal(silent, 0, 'every reader that misses an event gets a gap')
    t.ok(exact >= 50_000 && exact <= 100_000, `${exact} are known exactly`)
    const latest = read(log, `u:${count - 1}`)
    t.equal(latest.evicted, count)
    t.equal(
      read(log, `u:${count - 1}`, latest.next).gap,
      undefined,
      'no reader gets a gap for an event that it has received'
    )
    await log.append([draft('u:0', 'again')])
    t.strictSame(
      report(log, 'u:0', start),
      { texts: [], evicted: count + 1, gap: 'evicted' },
      'a forgotten channel that returns reports at least as much'
    )
  }
)

t.test('a forgotten channel reports no gap after the last eviction of all forgotten channels', async (t) => {
  const { log } = memoryLog({ user: 0, topic: 5 })
  for (let at = 0; at < 110_000; at += 1_000) await log.append(drafts(1_000, (index) => draft(`u:${at + index}`)))
  const now = read(log, 'u:0').next
  await log.append([draft('t:news', 'a')])
  t.equal(read(log, 'u:0', now).gap, undefined)
  t.same(read(log, 't:news', now).texts, ['a'])
  t.equal(read(log, 't:news', now).gap, undefined)
})

t.test('channels that retain events again do not make others be forgotten', async (t) => {
  const emptied = new EmptiedChannels(DEFAULT_RETENTION.bytes)
  for (const size of [35_000, 49_999, 50_000, 50_000, 35_000]) {
    const channels = numbers(size).map((number): Channel => `t:${number}`)
    for (const channel of channels) emptied.add(channel, 7)
    for (const channel of channels) emptied.delete(channel)
    t.equal(emptied.evictedFrom('t:0'), 0, 'the channel itself reports it now')
  }
  t.equal(emptied.evictedFrom('u:never'), 0)
})
