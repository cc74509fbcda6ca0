import assert from 'node:assert/strict'
import type { EventLog, ReadFrom, ReadQuery, ReadResult, Receipt } from '../services/event-log/event-log.ts'
import type { Channel } from '../services/events/channel.ts'
import { type Cursor, parseCursor } from '../services/events/cursor.ts'
import type { GapReason } from '../services/events/gap-reason.ts'
import type { NewEvent } from '../services/events/log-event.ts'
import { type ContractParts, cursorOf, type Define, draft, headOf, idempotent, texts } from './given.ts'

const BOUNDS = { user: 3, topic: 5, everyone: 4 }
const CHANNELS: readonly Channel[] = ['u:alice', 'u:bob', 't:news', 't:__proto__', 'everyone', 'u:idle']
const STEPS = 400
const RUNS = 3

/** Appends and reads at random, on every node, and compares with a model of plain arrays. */
export function model<Log extends EventLog>(define: Define<Log>, { secondNode, seed }: ContractParts<Log>): void {
  const first = seed ?? Math.floor(Math.random() * 2 ** 32)
  for (let run = 0; run < RUNS; run++) {
    define(`matches a model of arrays under random appends and reads (${run + 1} of ${RUNS})`, async (given) => {
      const log = await given.log(BOUNDS)
      const nodes = secondNode === undefined ? [log] : [log, await given.secondNode(log), await given.secondNode(log)]
      const listeners = await Promise.all(nodes.map((node) => given.listener(node)))
      const stranger = await headOf(await given.log())
      const walk = new Walk(chance(first + run), nodes, await headOf(log), stranger)
      try {
        for (let step = 0; step < STEPS; step++) await walk.step()
        await log.append([draft('everyone', 'end')])
        for (const listener of listeners) {
          await listener.met('end')
          assert.deepEqual(listener.texts, [...walk.model.order, 'end'])
          assert.deepEqual(listener.discontinuities, [])
        }
      } catch (error) {
        if (error instanceof Error) error.message += `\n(seed: ${first + run})`
        throw error
      }
    })
  }
}

/** The state of an event in one of its channels. */
type Fate = 'retained' | 'evicted' | 'collapsed'

interface Filed {
  readonly seq: number
  readonly event: NewEvent
  readonly fates: Map<Channel, Fate>
}

/** The log as arrays. */
class Model {
  /** The texts of all appended events, transient ones too. */
  readonly order: string[] = []
  readonly filed: Filed[] = []
  readonly #receipts = new Map<string, { seq: number | null; streams: number }>()

  get head(): number {
    return this.filed.length
  }

  /** The number of each receipt, its streams, and whether it is a repeat. */
  append(events: readonly NewEvent[]): { seq: number | null; streams: number; isRepeat: boolean }[] {
    return events.map((event) => {
      const key = event.idempotency?.key
      const known = key === undefined ? undefined : this.#receipts.get(key)
      if (known !== undefined) return { ...known, isRepeat: true }
      this.order.push(event.data)
      const seq = event.transient ? null : this.#file(event)
      if (key !== undefined) this.#receipts.set(key, { seq, streams: event.streams })
      return { seq, streams: event.streams, isRepeat: false }
    })
  }

  retained(channel: Channel): Filed[] {
    return this.filed.filter(({ fates }) => fates.get(channel) === 'retained')
  }

  /** All retained events of these channels. */
  retainedFor(channels: readonly Channel[]): Filed[] {
    return this.filed.filter(({ fates }) => channels.some((channel) => fates.get(channel) === 'retained'))
  }

  evicted(channels: readonly Channel[]): number {
    const isEvicted = ({ fates }: Filed) => channels.some((channel) => fates.get(channel) === 'evicted')
    return this.filed.findLast(isEvicted)?.seq ?? 0
  }

  /** Whether the reader misses an event: evicted from one of the channels, and retained in none of them. */
  isMissing(channels: readonly Channel[], after: number): boolean {
    return this.filed.some(({ seq, fates }) => {
      const of = channels.map((channel) => fates.get(channel))
      return seq > after && of.includes('evicted') && !of.includes('retained')
    })
  }

  #file(event: NewEvent): number {
    const entry: Filed = { seq: this.filed.length + 1, event, fates: new Map() }
    this.filed.push(entry)
    for (const channel of event.channels) {
      const same = this.retained(channel).find(
        (retained) => event.collapseKey !== undefined && retained.event.collapseKey === event.collapseKey
      )
      same?.fates.set(channel, 'collapsed')
      entry.fates.set(channel, 'retained')
      const bound = channel === 'everyone' ? BOUNDS.everyone : channel.startsWith('u:') ? BOUNDS.user : BOUNDS.topic
      for (const old of this.retained(channel).slice(0, -bound)) old.fates.set(channel, 'evicted')
    }
    return entry.seq
  }
}

/** One random walk: the logs, their model, and every cursor that was ever returned. */
class Walk<Log extends EventLog> {
  readonly model = new Model()
  readonly #random: () => number
  readonly #nodes: readonly Log[]
  readonly #stranger: Cursor
  readonly #cursors: Cursor[]
  /** The cursor of each number. */
  readonly #bySeq = new Map<number, Cursor>()
  #count = 0

  constructor(random: () => number, nodes: readonly Log[], start: Cursor, stranger: Cursor) {
    this.#random = random
    this.#nodes = nodes
    this.#stranger = stranger
    this.#cursors = [start]
  }

  async step(): Promise<void> {
    if (this.#random() < 0.4) await this.#append(this.#pick(this.#nodes))
    else await this.#read(this.#pick(this.#nodes))
  }

  async #append(node: Log): Promise<void> {
    const events = Array.from({ length: 1 + this.#below(5) }, () => this.#draft())
    const receipts = await node.append(events)
    const expected = this.model.append(events)
    assert.deepEqual(receipts.map(numbered), expected)
    assert.equal(node.stats().head, this.model.head)
    for (const { id } of receipts) {
      const cursor = id === null ? undefined : parseCursor(id)
      if (cursor === undefined) continue
      this.#cursors.push(cursor)
      this.#bySeq.set(cursor.seq, cursor)
    }
  }

  #draft(): NewEvent {
    const channels = this.#some(CHANNELS.slice(0, -1))
    return draft(channels, `e${++this.#count}`, {
      transient: this.#random() < 0.15,
      collapseKey: this.#random() < 0.3 ? this.#pick(['p', 'q', '__proto__']) : undefined,
      idempotency: this.#random() < 0.2 ? idempotent(`k${this.#below(30)}`) : undefined,
      streams: this.#below(100)
    })
  }

  async #read(node: Log): Promise<void> {
    const channels = this.#some(CHANNELS)
    const { from, gap, after } = this.#from()
    const query: ReadQuery = { channels, from, limit: 1 + this.#below(this.#random() < 0.3 ? 100 : 4) }
    const page = await node.read(query)
    const asked = JSON.stringify(query)
    const all = this.model.retainedFor(channels).filter(({ seq }) => seq > after)
    const mine = typeof from === 'object' && 'last' in from ? all.slice(-from.last) : all
    const given = mine.slice(0, query.limit)
    assert.deepEqual(
      texts(page),
      given.map(({ event }) => event.data),
      asked
    )
    assert.deepEqual(
      page.events.map((event) => cursorOf(event)),
      given.map(({ seq }) => this.#bySeq.get(seq)),
      asked
    )
    this.#checkRest(page, mine.slice(query.limit), channels, asked)
    assert.equal(page.evicted, this.model.evicted(channels), asked)
    this.#checkGap(page, gap, channels, after, asked)
    this.#cursors.push(page.next)
  }

  #checkRest(page: ReadResult, rest: readonly Filed[], channels: readonly Channel[], asked: string): void {
    const positions = rest.flatMap(({ fates }) =>
      channels.filter((channel) => fates.get(channel) === 'retained')
    ).length
    assert.ok(
      page.remaining >= rest.length && page.remaining <= positions,
      `${page.remaining} of ${rest.length} remain: ${asked}`
    )
    const last = rest.length === 0 ? this.model.head : page.events.at(-1)?.cursor?.seq
    assert.equal(page.next.seq, last, asked)
    if (page.next.seq > 0) assert.deepEqual(page.next, this.#bySeq.get(page.next.seq), asked)
  }

  #checkGap(
    page: ReadResult,
    expected: GapReason | 'maybe' | undefined,
    channels: readonly Channel[],
    after: number,
    asked: string
  ): void {
    if (expected !== 'maybe') assert.equal(page.gap, expected, asked)
    // An event that another requested channel still retains is not missing, but not every log can know that.
    else if (this.model.isMissing(channels, after)) assert.equal(page.gap, 'evicted', asked)
    else if (this.model.evicted(channels) <= after) assert.equal(page.gap, undefined, asked)
    else assert.ok(page.gap === undefined || page.gap === 'evicted', asked)
  }

  /** The start of a read, the expected gap, and the number after which it begins. */
  #from(): { from: ReadFrom; gap: GapReason | 'maybe' | undefined; after: number } {
    const dice = this.#random()
    if (dice < 0.1) return { from: 'oldest', gap: undefined, after: 0 }
    if (dice < 0.15) return { from: 'head', gap: undefined, after: this.model.head }
    if (dice < 0.3) return { from: { last: 1 + this.#below(12) }, gap: undefined, after: 0 }
    const cursor = this.#pick(this.#cursors)
    if (dice < 0.35) return { from: { ...this.#stranger, seq: cursor.seq }, gap: 'reset', after: 0 }
    if (dice < 0.4) return { from: { ...cursor, seq: this.model.head + 1 + this.#below(9) }, gap: 'diverged', after: 0 }
    const [one, other] = [this.#pick(this.model.retainedFor(CHANNELS)), this.#pick(this.#cursors)]
    if (dice < 0.45 && one !== undefined && other.seq !== one.seq) {
      return { from: { seq: one.seq, witness: other.witness }, gap: 'diverged', after: 0 }
    }
    return { from: cursor, gap: 'maybe', after: cursor.seq }
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.#below(items.length)] as Item
  }

  /** One or more of them, in any order. */
  #some(items: readonly Channel[]): Channel[] {
    const shuffled = items.map((item) => ({ item, at: this.#random() })).sort((a, b) => a.at - b.at)
    return shuffled.slice(0, this.#random() < 0.5 ? 1 : 1 + this.#below(items.length)).map(({ item }) => item)
  }
}

function numbered({ id, ...receipt }: Receipt): { seq: number | null; streams: number; isRepeat: boolean } {
  return { seq: id === null ? null : (parseCursor(id)?.seq ?? Number.NaN), ...receipt }
}

/** mulberry32: numbers from 0 up to but not including 1, the same for the same seed. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
