import fc from 'fast-check'
import t from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import type { ReadFrom, ReadQuery, ReadResult, Receipt } from '../../services/event-log/event-log.ts'
import { MemoryEntry } from '../../services/event-log/memory/memory-entry.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import { type Cursor, parseCursor } from '../../services/events/cursor.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { NaiveStore } from './naive-log.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
t.comment(`SEED=${seed}`)

const CHANNELS: readonly Channel[] = [
  'u:alice',
  'i:alice',
  'u:bob',
  't:news',
  't:__proto__',
  'everyone',
  'r:bob',
  'u:never'
]
const DAY = 86_400_000
const PLENTY = 1e12
const MANY = { user: 1_000, topic: 1_000, everyone: 1_000, inbox: 1_000 }
/** Maximum weights: of the marks of all empty channels, of a key, and of a scope. */
const MAX_MARKS = 8 * 100
const MAX_KEY = 400
const MAX_SCOPE = 1_000

/** The weight of an event, as the log counts it. */
const weigh = (draft: NewEvent) => new MemoryEntry(draft, { seq: 1, witness: '' }, 0, 0).bytes

/** The weight of a channel that is not empty. */
async function channelWeight(): Promise<number> {
  const log = new MemoryLog({
    retention: { user: 1, topic: 1, everyone: 1, age: 1, inbox: 1, inboxAge: 1, channelBytes: 0, bytes: PLENTY },
    idempotencyWindow: 1,
    clock: new FakeClock()
  })
  const event = {
    channels: ['u:alice'],
    event: '',
    data: '',
    transient: false,
    final: false,
    streams: 0
  } satisfies NewEvent
  await log.append([event])
  return log.stats().bytes - weigh(event)
}

const someOf = (items: readonly Channel[]) => fc.shuffledSubarray([...items], { minLength: 1 })

const draft: fc.Arbitrary<NewEvent> = fc.record({
  channels: someOf(CHANNELS.slice(0, -1)),
  event: fc.constantFrom('message', 'é', 'hub.read'),
  data: fc.oneof(
    { weight: 5, arbitrary: fc.constant('') },
    fc.constantFrom('x'.repeat(300), '☃'.repeat(200), 'x'.repeat(2_000))
  ),
  ttl: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined, freq: 3 }),
  collapseKey: fc.option(fc.constantFrom('p', 'q', '__proto__'), { nil: undefined, freq: 3 }),
  idempotency: fc.option(
    fc.constantFrom('a', 'b', 'c', '__proto__').map((key) => idempotent(key)),
    { nil: undefined, freq: 5 }
  ),
  transient: fc.constant(false as boolean),
  except: fc.constantFrom(undefined, ['alice']),
  trace: fc.constantFrom(undefined, '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'),
  final: fc.constantFrom<NewEvent['final'][]>(false, true, 'failed'),
  streams: fc.nat(9)
})

const from = fc.oneof(
  fc.constantFrom('oldest' as const, 'head' as const),
  fc.record({ last: fc.integer({ min: 1, max: 12 }) }),
  { weight: 4, arbitrary: fc.record({ cursor: fc.nat(1_000) }) }
)

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      append: fc.array(
        fc.oneof(
          { weight: 6, arbitrary: draft },
          draft.map((one) => ({ ...one, transient: true }))
        ),
        { maxLength: 5 }
      )
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      retract: fc.nat(1_000),
      from: fc.option(someOf(['u:alice', 'i:alice', 't:news']), { nil: [] as Channel[] })
    })
  },
  { weight: 1, arbitrary: fc.record({ replace: fc.nat(1_000) }) },
  { weight: 2, arbitrary: fc.record({ advance: fc.integer({ min: 1, max: 300 }) }) },
  { weight: 1, arbitrary: fc.record({ jump: fc.constantFrom(DAY, -DAY) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      read: fc.record({ channels: someOf(CHANNELS), from, limit: fc.integer({ min: 1, max: 20 }) })
    })
  }
)

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

const bounds = fc.record({
  retention: fc
    .record({
      user: fc.integer({ min: 0, max: 6 }),
      topic: fc.integer({ min: 0, max: 40 }),
      everyone: fc.integer({ min: 0, max: 6 }),
      age: fc.constantFrom(100, 500, 2_000, PLENTY),
      inbox: fc.integer({ min: 1, max: 6 }),
      inboxAge: fc.constantFrom(1, 800, 2_500, PLENTY),
      channelBytes: fc.constantFrom(0, 2_000, 10_000, PLENTY),
      bytes: fc.constant(PLENTY)
    })
    .map((retention) => ({ ...retention, inboxAge: Math.max(retention.inboxAge, retention.age + 1) })),
  idempotencyWindow: fc.constantFrom(100, 1_000)
})

t.test('the log behaves like plain arrays, with all kinds of bounds, keys, times and reads', async (t) => {
  const perChannel = await channelWeight()
  await fc.assert(
    fc.asyncProperty(bounds, fc.array(step, { maxLength: 120, size: 'max' }), async (bounds, steps) => {
      const clock = new FakeClock()
      const pair = new Pair(new MemoryLog({ ...bounds, clock }), new NaiveStore(bounds, clock))
      for (const step of steps) await pair.take(step)
      pair.compareAll(perChannel)
    }),
    { seed, numRuns: 300 }
  )
  t.pass('always')
})

/** The log and the arrays, taking the same steps. */
class Pair {
  readonly #log: MemoryLog
  readonly #plain: NaiveStore
  readonly #clock: FakeClock
  /** The cursors of the log by their number, and of the arrays. */
  readonly #cursors: { log: Cursor; plain: Cursor }[]

  constructor(log: MemoryLog, plain: NaiveStore) {
    this.#log = log
    this.#plain = plain
    this.#clock = plain.clock as FakeClock
    plain.weigh = weigh
    this.#cursors = [{ log: log.read({ channels: [], from: 'head', limit: 1 }).next, plain: plain.state.head }]
  }

  async take(step: Step): Promise<void> {
    if ('advance' in step) this.#clock.advance(step.advance)
    else if ('jump' in step) this.#clock.wall += step.jump
    else if ('append' in step) await this.#append(step.append)
    else if ('retract' in step) await this.#retract(step.retract, step.from)
    else if ('replace' in step) await this.#replace(step.replace % this.#cursors.length)
    else this.#read(step.read)
  }

  async #retract(number: number, channels: readonly Channel[]): Promise<void> {
    const { log, plain } = this.#cursors[number % this.#cursors.length] as { log: Cursor; plain: Cursor }
    const event = { channels, event: 'hub.retract', data: '', transient: false, final: false, streams: 0 }
    await this.#append([{ ...event, retracts: log }], [{ ...event, retracts: plain }])
  }

  async #replace(replaces: number): Promise<void> {
    const channels: Channel[] = ['u:bob', 'r:bob']
    const event = { channels, event: 'hub.read', data: '', transient: false, final: false, streams: 0 }
    await this.#append([{ ...event, collapseKey: 'p', replaces }])
  }

  async #append(events: readonly NewEvent[], plain: readonly NewEvent[] = events): Promise<void> {
    const receipts = await this.#log.append(events)
    const expected = this.#plain.append(plain)
    same(receipts.map(numbered), expected.map(numbered))
    receipts.forEach(({ id }, index) => {
      const [log, plain] = [parseCursor(id ?? ''), parseCursor(expected[index]?.id ?? '')]
      if (log !== undefined && plain !== undefined) this.#cursors[log.seq] = { log, plain }
    })
  }

  #read({ channels, from, limit }: { channels: Channel[]; from: ReadFrom | { cursor: number }; limit: number }): void {
    const cursors =
      typeof from === 'object' && 'cursor' in from ? this.#cursors[from.cursor % this.#cursors.length] : undefined
    const begin = from as ReadFrom
    this.#compare({ channels, from: cursors?.log ?? begin, limit }, { channels, from: cursors?.plain ?? begin, limit })
  }

  #compare(query: ReadQuery, plainQuery: ReadQuery): void {
    const [page, expected] = [this.#log.read(query), this.#plain.read(plainQuery)]
    same(simple(page), simple(expected))
    if (query.channels.length === 1) same(page.remaining, expected.remaining)
    if (page.remaining < expected.remaining) throw new Error(`${page.remaining} remain, not ${expected.remaining}`)
    same(page.next, this.#cursors[page.next.seq]?.log)
  }

  /** Compares all queries, and the statistics of the log. */
  compareAll(perChannel: number): void {
    for (const channel of CHANNELS) {
      for (const { log, plain } of this.#cursors) {
        this.#compare({ channels: [channel], from: log, limit: 3 }, { channels: [channel], from: plain, limit: 3 })
      }
    }
    const { events, bytes, channels, head, hasInboxes } = this.#plain.stats()
    const keys = 4 * MAX_KEY + MAX_SCOPE
    sameStats(this.#log, { events, bytes: bytes + channels * perChannel, channels, head, hasInboxes }, MAX_MARKS + keys)
    this.#clock.advance(2 * PLENTY)
    this.#log.read({ channels: [], from: 'head', limit: 1 })
    sameStats(this.#log, { events: 0, bytes: 0, channels: 0, head, hasInboxes: false }, MAX_MARKS)
  }
}

/** Compares the statistics, and the weight of the bookkeeping with its maximum. */
function sameStats(
  log: MemoryLog,
  expected: { events: number; bytes: number; channels: number; head: number; hasInboxes: boolean },
  bookkeeping: number
): void {
  const { bytes, removed: _, ...stats } = log.stats()
  const { bytes: entries, ...others } = expected
  same(stats, { kind: 'memory', ...others })
  if (bytes < entries || bytes > entries + bookkeeping) throw new Error(`${bytes} bytes, for ${entries} of entries`)
}

function simple({ events, next, evicted, gap, remaining }: ReadResult): object {
  const given = events.map((event) => ({ ...event, cursor: event.cursor?.seq, id: null, frame: undefined }))
  const plain = given.map(({ cursor, channels, event, data, time, final, except, trace }) => ({
    cursor,
    channels,
    event,
    data,
    time,
    final,
    except,
    trace
  }))
  return { events: plain, next: next.seq, evicted, gap, isLast: remaining === 0 }
}

function numbered({ id, ...receipt }: Receipt): object {
  return { ...receipt, seq: id === null ? null : parseCursor(id)?.seq }
}

function same(actual: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${one} is not ${other}`)
}

t.test(
  'under a total bound, gaps are exact, retained events are counted exactly, and light channels are spared',
  async (t) => {
    const perChannel = await channelWeight()
    const channels = Array.from({ length: 8 }, (_, index): Channel => (index % 2 ? `u:${index}` : `t:${index}`))
    const event = fc.record({
      // Some channels get events much more often than others.
      channels: fc.uniqueArray(
        fc.nat(63).map((dice) => channels[Math.floor(Math.log2(dice + 1))] ?? 't:0'),
        { minLength: 1, maxLength: 3 }
      ),
      size: fc.constantFrom(0, 0, 0, 100, 1_000, 8_000)
    })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40_000 }),
        fc.array(fc.array(event, { maxLength: 4 }), { maxLength: 80, size: 'max' }),
        async (bytes, batches) => {
          const retention = { ...MANY, age: PLENTY, inboxAge: PLENTY, channelBytes: PLENTY, bytes }
          const log = new MemoryLog({ retention, idempotencyWindow: 1, clock: new FakeClock() })
          const start = log.read({ channels: [], from: 'head', limit: 1 }).next
          const drafts: NewEvent[] = []
          for (const batch of batches) {
            const before = new Map(channels.map((channel) => [channel, retainedOf(log, channel)]))
            const news = batch.map(({ channels, size }) => ({
              channels,
              event: '',
              data: 'x'.repeat(size),
              transient: false,
              final: false,
              streams: 0
            }))
            drafts.push(...news)
            await log.append(news)
            checkReported(log, channels, drafts, start)
            checkCounted(log, channels, drafts, perChannel, bytes)
            if (news.length === 1) checkSpared(log, channels, drafts, before)
          }
        }
      ),
      { seed, numRuns: 200 }
    )
    t.pass('always')
  }
)

/** The numbers that a channel retains. */
function retainedOf(log: MemoryLog, channel: Channel): number[] {
  return log.read({ channels: [channel], from: 'oldest', limit: 10_000 }).events.map(({ cursor }) => cursor?.seq ?? 0)
}

function checkReported(log: MemoryLog, channels: readonly Channel[], drafts: readonly NewEvent[], start: Cursor): void {
  for (const channel of channels) {
    const retained = retainedOf(log, channel)
    const filed = drafts.flatMap((draft, index) => (draft.channels.includes(channel) ? [index + 1] : []))
    const gone = filed.filter((seq) => !retained.includes(seq))
    same(filed.slice(gone.length), retained)
    const { evicted, gap } = log.read({ channels: [channel], from: start, limit: 1 })
    same([evicted, gap], [gone.at(-1) ?? 0, gone.length > 0 ? 'evicted' : undefined])
  }
}

function checkCounted(
  log: MemoryLog,
  channels: readonly Channel[],
  drafts: readonly NewEvent[],
  perChannel: number,
  bound: number
): void {
  const used = channels.filter((channel) => retainedOf(log, channel).length > 0)
  const retained = [...new Set(channels.flatMap((channel) => retainedOf(log, channel)))]
  const weight = retained.reduce((sum, seq) => sum + weigh(drafts[seq - 1] as NewEvent), used.length * perChannel)
  const expected = {
    events: retained.length,
    bytes: weight,
    channels: used.length,
    head: drafts.length,
    hasInboxes: false
  }
  sameStats(log, expected, MAX_MARKS)
  if (weight > bound) throw new Error(`${weight} bytes are over the bound of ${bound}`)
}

/**
 * A channel that evicted retained, at its last eviction, at least half as much as any other of its kind still retains.
 */
function checkSpared(
  log: MemoryLog,
  channels: readonly Channel[],
  drafts: readonly NewEvent[],
  before: ReadonlyMap<Channel, readonly number[]>
): void {
  const weight = (seqs: readonly number[]) => seqs.reduce((sum, seq) => sum + weigh(drafts[seq - 1] as NewEvent), 0)
  for (const channel of channels) {
    const kin = channels.filter((other) => other[0] === channel[0])
    const heaviest = Math.max(...kin.map((other) => weight(retainedOf(log, other))))
    const retained = retainedOf(log, channel)
    const isNewest = drafts.at(-1)?.channels.includes(channel) === true
    const had = [...(before.get(channel) ?? []), ...(isNewest ? [drafts.length] : [])]
    const given = had.filter((seq) => !retained.includes(seq))
    if (given.length > 0 && weight([...given.slice(-1), ...retained]) < heaviest / 2) {
      throw new Error(`${channel} evicted although it retained ${weight(retained)} and another ${heaviest}`)
    }
  }
}
