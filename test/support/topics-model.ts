import type { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import { parseCursor } from '../../services/events/cursor.ts'
import { Hub } from '../../services/hub/hub.ts'
import type { EventStream } from '../../services/streams/event-stream.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeSink, settle } from './fake-sink.ts'
import { Random } from './random.ts'
import { memoryLog } from './slow-hub.ts'
import { SlowLog } from './slow-log.ts'
import type { Dispatched } from './strict-parser.ts'

const TOPICS = ['a', 'b', 'c', 'd']

/** The commands of a step, with their weights. */
const COMMANDS = {
  publish: 40,
  subscribe: 14,
  unsubscribe: 8,
  both: 3,
  cut: 3,
  stall: 6,
  drain: 10,
  answer: 14,
  dispatch: 14,
  turn: 14,
  breakTail: 2,
  failRead: 1
}

interface Published {
  readonly seq: number
  readonly topics: readonly string[]
  readonly isForAll: boolean
}

/** The sequence numbers between which events of a topic may arrive, and after which they have to. */
interface Window {
  readonly topic: string
  /** The head at the call: no event up to it may arrive. */
  after: number
  /** The head when the subscription took effect: every event after it has to arrive; infinity before. */
  requiredAfter: number
  /** The head when the removal took effect: no event after it may arrive. */
  until: number
  /** A removal was requested, so no event has to arrive that has not arrived. */
  isEnding: boolean
  /** The number of events that had arrived when the removal took effect: nothing of the topic may follow. */
  receivedAtEnd: number
}

/** One client whose topics change, over a slow log that the model moves; and what the client has to receive. */
export class TopicsModel {
  readonly trace: string[] = []
  readonly #random: Random
  /** Each event has one channel: a log reports a gap for one that a channel has evicted, also if another channel has it. */
  readonly #isSingle: boolean
  readonly #log: SlowLog
  readonly #hub: Hub
  readonly #clock: FakeClock
  readonly #published: Published[] = []
  readonly #windows: Window[] = []
  readonly #received: Dispatched[] = []
  #sink = new FakeSink()
  #stream: EventStream | undefined
  #generation = 0
  #lastEventId = ''
  /** A client without a cursor begins anew: no event up to this one has to arrive. */
  #begunAfter = 0

  constructor(seed: number, retention: Partial<typeof DEFAULT_RETENTION> = {}) {
    this.#random = new Random(seed)
    this.#isSingle = Object.keys(retention).length > 0
    this.#clock = new FakeClock({ seed })
    this.#log = new SlowLog(memoryLog(this.#clock, retention), {
      isSlow: this.#random.chance(0.7),
      isLagging: this.#random.chance(0.5),
      chance: this.#random.next
    })
    const logger = { error: () => {}, warn: () => {} }
    this.#hub = new Hub({ log: this.#log, clock: this.#clock, openingRate: 0, stallTimeout: 0 }, logger)
  }

  async run(steps: number): Promise<void> {
    await this.#hub.start()
    this.#open(TOPICS.filter(() => this.#random.chance(0.3)))
    for (let step = 0; step < steps; step++) {
      const command = this.#random.weighted(COMMANDS)
      this.trace.push(command)
      await this[command]()
    }
    await this.#calm()
    this.#take()
    const fault = this.#fault()
    await this.#hub.dispose()
    if (fault !== undefined) throw new Error(fault)
  }

  // Commands

  async publish(): Promise<void> {
    for (let count = this.#random.pick([1, 1, 1, 2, 5, 60]); count > 0; count--) {
      const several = TOPICS.filter(() => this.#random.chance(0.3))
      const topics = this.#isSingle ? several.slice(0, 1) : several
      const isForUser = topics.length === 0 || (!this.#isSingle && this.#random.chance(0.15))
      const to = { ...(topics.length > 0 ? { topics } : {}), ...(isForUser ? { users: ['alice'] } : {}) }
      const seq = this.#published.length + 1
      this.#published.push({ seq, topics, isForAll: isForUser })
      const data = `${seq}${'.'.repeat(this.#random.chance(0.05) ? 20_000 : 0)}`
      await this.#hub.publishBatch([{ to, data }])
    }
  }

  subscribe(): void {
    const topics = this.#some()
    this.trace.push(`  subscribe ${topics} at ${this.#head}`)
    this.#change(topics, [], (stream) => stream.subscribe(topics))
  }

  unsubscribe(): void {
    const topics = this.#some()
    this.trace.push(`  unsubscribe ${topics} at ${this.#head}`)
    this.#change([], topics, (stream) => stream.unsubscribe(topics))
  }

  both(): void {
    this.subscribe()
    this.unsubscribe()
    this.subscribe()
  }

  async cut(): Promise<void> {
    await settle(2)
    const wanted = TOPICS.filter((topic) => this.#windows.some((window) => window.topic === topic && !window.isEnding))
    this.#sink.disconnect()
    this.#take()
    this.#open(wanted, true)
  }

  stall(): void {
    this.#sink.room = Math.min(this.#sink.room, this.#random.from(0, 400))
  }

  drain(): void {
    this.#sink.drain(this.#random.pick([0, 300, 5_000, Number.POSITIVE_INFINITY]))
  }

  answer(): void {
    this.#log.answer(this.#random.from(1, 3))
  }

  dispatch(): void {
    this.#log.dispatch(this.#random.from(1, 20))
  }

  async turn(): Promise<void> {
    await settle(this.#random.from(1, 3))
  }

  breakTail(): void {
    this.#log.loseConnection()
  }

  async failRead(): Promise<void> {
    this.#log.fail(1)
    await settle(1)
    // A stream whose first read fails is closed.
    if (this.#stream?.isClosed) await this.cut()
    this.#clock.advance(1_100)
  }

  // The reference

  get #head(): number {
    return this.#published.length
  }

  #some(): string[] {
    const topics = TOPICS.filter(() => this.#random.chance(0.4))
    return topics.length === 0 ? [this.#random.pick(TOPICS)] : topics
  }

  #change(added: readonly string[], removed: readonly string[], call: (stream: EventStream) => Promise<boolean>): void {
    const generation = this.#generation
    const stream = this.#stream as EventStream
    const opened = added.map((topic) => this.#window(topic, this.#head, Number.POSITIVE_INFINITY))
    const ending = this.#windows.filter((window) => removed.includes(window.topic) && !window.isEnding)
    for (const window of ending) window.isEnding = true
    call(stream).then(
      (isChanged) => {
        // The stream was cut meanwhile: the next one has the topics from its own request.
        if (!isChanged || generation !== this.#generation) return
        for (const window of opened) window.requiredAfter = Math.min(window.requiredAfter, this.#head)
        for (const window of ending) this.#end(window)
      },
      (error: { code?: string }) => {
        if (error.code !== 'SSE_HUB_ERR_LOG_UNAVAILABLE') throw error
        if (generation !== this.#generation) return
        // Nothing has changed.
        for (const window of opened) {
          window.isEnding = true
          this.#end(window)
        }
      }
    )
  }

  #end(window: Window): void {
    window.until = Math.min(window.until, this.#head)
    window.receivedAtEnd = Math.min(window.receivedAtEnd, this.#received.length + this.#sink.events.length)
  }

  #window(topic: string, after: number, requiredAfter: number): Window {
    const window = {
      topic,
      after,
      requiredAfter,
      until: Number.POSITIVE_INFINITY,
      isEnding: false,
      receivedAtEnd: Number.POSITIVE_INFINITY
    }
    this.#windows.push(window)
    return window
  }

  #open(topics: readonly string[], isReturn = false): void {
    this.#generation++
    const cursor = isReturn ? parseCursor(this.#lastEventId) : undefined
    // A stream without a cursor begins at the head of the tail, which lags behind.
    const from = cursor?.seq ?? this.#hub.manager.head.seq
    if (cursor === undefined) this.#begunAfter = this.#head
    for (const window of this.#windows) {
      // A change that was in progress ends with its stream.
      if (!window.isEnding || window.until < Number.POSITIVE_INFINITY) continue
      this.#end(window)
    }
    for (const topic of topics) {
      const window = this.#windows.find((one) => one.topic === topic && !one.isEnding)
      if (window === undefined) this.#window(topic, from, cursor === undefined ? this.#head : from)
      else {
        // The client asks for all after its cursor, and the subscription may not have reached it.
        window.after = Math.min(window.after, from)
        window.requiredAfter = Math.min(window.requiredAfter, cursor === undefined ? this.#head : from)
      }
    }
    this.#sink = new FakeSink()
    const lastEventId = isReturn && this.#lastEventId !== '' ? this.#lastEventId : undefined
    this.trace.push(`  open ${topics} after ${lastEventId} at ${this.#head}`)
    this.#stream = this.#hub.open(this.#sink, { user: 'alice', topics: [...topics], lastEventId })
  }

  /** Takes what the sink has received. */
  #take(): void {
    this.#received.push(...this.#sink.events)
    if (this.#sink.parser.lastEventId !== '') this.#lastEventId = this.#sink.parser.lastEventId
  }

  async #calm(): Promise<void> {
    this.#log.isSlow = false
    this.#log.isLagging = false
    for (let round = 0; round < 40; round++) {
      this.#log.dispatch()
      this.#log.answer()
      this.#sink.drain()
      await settle(3)
      if (round % 10 === 0) this.#clock.advance(1_100)
    }
  }

  #fault(): string | undefined {
    let last = 0
    const arrived = new Set<number>()
    const gaps = this.#received.filter(({ event }) => event === 'hub.gap')
    for (const [at, { event, data }] of this.#received.entries()) {
      if (event.startsWith('hub.')) continue
      const seq = Number.parseInt(data, 10)
      if (seq <= last) return `${seq} arrived after ${last}`
      last = seq
      arrived.add(seq)
      const { topics, isForAll } = this.#published[seq - 1] as Published
      const isAllowed = this.#windows.some(
        ({ topic, after, until, receivedAtEnd }) =>
          topics.includes(topic) && seq > after && seq <= until && at < receivedAtEnd
      )
      if (!isForAll && !isAllowed) return `${seq} of ${topics} arrived at ${at}: ${this.#show(topics)}`
    }
    const missing = this.#published.filter((event) => !arrived.has(event.seq) && this.#isRequired(event))
    if (missing[0] !== undefined && gaps.length === 0)
      return `${missing[0].seq} of ${missing[0].topics} is missing: ${this.#show(missing[0].topics)}`
    const mayBeGone = this.#published.some((event) => !arrived.has(event.seq) && this.#mayArrive(event))
    if (gaps.length > 0 && !mayBeGone) return `a gap was reported: ${JSON.stringify(gaps)}`
    return this.#faultOfReports()
  }

  #isRequired({ seq, topics, isForAll }: Published): boolean {
    if (seq <= this.#begunAfter) return false
    return (
      isForAll ||
      this.#windows.some(
        ({ topic, requiredAfter, isEnding }) => topics.includes(topic) && seq > requiredAfter && !isEnding
      )
    )
  }

  #mayArrive({ seq, topics, isForAll }: Published): boolean {
    return (
      isForAll || this.#windows.some(({ topic, after, until }) => topics.includes(topic) && seq > after && seq <= until)
    )
  }

  /** The client knows its topics in the end. */
  #faultOfReports(): string | undefined {
    const report = this.#sink.events.filter(({ event }) => event === 'hub.topics').at(-1)
    if (report === undefined) return undefined
    const reported = JSON.stringify(JSON.parse(report.data).topics)
    const actual = JSON.stringify(this.#stream?.topics)
    return reported === actual ? undefined : `hub.topics has ${reported}, the stream ${actual}`
  }

  #show(topics: readonly string[]): string {
    return JSON.stringify(this.#windows.filter(({ topic }) => topics.includes(topic)))
  }
}
