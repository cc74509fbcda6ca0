import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import { type Channel, EVERYONE, topicChannel, userChannel } from '../../services/events/channel.ts'
import { isEnded } from '../../services/events/cursor.ts'
import { Hub } from '../../services/hub/hub.ts'
import type { EventStream } from '../../services/streams/event-stream.ts'
import type { StreamRequest } from '../../services/streams/stream-request.ts'
import { FakeClock } from './fake-clock.ts'
import { type Connection, ModelClient, ModelSink } from './model-client.ts'
import { ConnectionCheck, Violation } from './model-connection.ts'
import { type Handling, ModelLog } from './model-log.ts'
import type { ConnectionLog, PublishedLog } from './oracle.ts'
import { Random } from './random.ts'
import { SlowLog } from './slow-log.ts'
import type { Dispatched } from './strict-parser.ts'

const USERS = ['alice', 'bob', 'carol']
const TOPICS = ['news', 'sport']
const STALL_TIMEOUT = 30_000
const IDEMPOTENCY_WINDOW = 60_000

/** An event that was published with an idempotency key. */
interface Known {
  readonly draft: Parameters<Hub['publishBatch']>[0][number]
  readonly id: string | null
  readonly until: number
}
const MINUTE = 60_000
/** Maximum delay until a hub notices the time: one tick of its timer, and a little. */
const TICK = 300

/** Hooks for a planted bug, to see that the model finds it. */
export interface Plant {
  readonly log?: (log: SlowLog) => void
  readonly hub?: (hub: Hub) => void
  readonly stream?: (stream: EventStream, sink: ModelSink, hub: Hub) => void
  readonly opening?: (opening: StreamRequest) => StreamRequest
}

interface Node {
  hub: Hub
  log: SlowLog
}

type Kind = 'none' | 'oldest' | 'last' | 'own' | 'old' | 'other' | 'garbage' | 'future'

/** The commands of a step, with their weights. */
const COMMANDS = {
  publish: 34,
  connect: 24,
  cut: 6,
  stall: 5,
  resume: 6,
  trickle: 6,
  advance: 8,
  answer: 8,
  dispatch: 8,
  rest: 3,
  slowness: 3,
  lag: 3,
  breakTail: 3,
  failReads: 1.5,
  failAppend: 2,
  kick: 1.5,
  restart: 2,
  wipe: 1
}

/**
 * Two nodes over one log, six clients, and a clock that the model advances. Each step has a seed of its own, so that
 * the other steps stay the same when one is left out.
 */
export class ModelWorld {
  readonly trace: string[] = []
  readonly published: PublishedLog[] = []
  readonly connections: ConnectionLog[] = []
  readonly #clock: FakeClock
  readonly #model: ModelLog
  readonly #nodes: Node[] = []
  readonly #clients: ModelClient[] = []
  readonly #handling = new Map<string, Handling>()
  readonly #transients = new Map<string, readonly Channel[]>()
  readonly #keys = new Map<string, Known>()
  readonly #plant: Plant
  /**
   * A violation found while the hub was writing. It is thrown after the hub's turn, or the hub might treat it as a
   * failure of the log.
   */
  #violation: Violation | undefined
  /** The connection for which the log is being read. */
  #asking: ConnectionCheck | undefined
  #random: Random
  #store: MemoryLog | undefined
  #step = 0
  #count = 0

  constructor(seed: number, plant: Plant = {}) {
    this.#random = new Random(seed)
    this.#plant = plant
    this.#clock = new FakeClock({ seed })
    this.#model = new ModelLog({
      user: this.#random.from(1, 6),
      topic: this.#random.from(1, 6),
      everyone: this.#random.from(0, 5),
      age: this.#random.pick([2 * MINUTE, 60 * MINUTE])
    })
    for (const user of [...USERS, ...USERS]) {
      this.#clients.push(
        new ModelClient(
          user,
          TOPICS.filter(() => this.#random.chance(0.5))
        )
      )
    }
  }

  async start(): Promise<void> {
    await this.#newStore()
    const count = this.#random.from(1, 2)
    for (let node = 0; node < count; node++) this.#nodes.push(await this.#newNode())
  }

  /** One step, decided by its seed. */
  async step(seed: number): Promise<void> {
    this.#step++
    this.#random = new Random(seed)
    const command = this.#random.weighted(COMMANDS)
    this.#log(command)
    await this[command]()
    await this.#turn(this.#random.from(0, 2))
    if (this.#random.chance(0.7)) this.#readAll()
    this.#inspect()
  }

  /** Settles the hub, and judges the whole sequence. */
  async end(): Promise<void> {
    for (const client of this.#clients) client.isStalled = false
    await this.rest()
    for (const client of this.#clients) if (client.connection !== undefined) client.connection.log.isComplete = true
    for (const client of this.#clients) client.cut()
    this.#inspect()
    for (const { hub } of this.#nodes) {
      const { manager } = hub
      const left = [manager.registry.size, manager.registry.users, [...manager.registry.listeners(EVERYONE)].length]
      if (left.some((count) => count !== 0)) throw new Violation('V10', `left behind: ${left.join(', ')}`)
    }
    if (this.#clock.timers !== 0) throw new Violation('V10', `${this.#clock.timers} timers are left running`)
    for (const { hub } of this.#nodes) await hub.dispose()
    await this.#turn(3)
    this.#inspect()
  }

  // Publishing

  async publish(): Promise<void> {
    const node = this.#random.pick(this.#nodes)
    const count = this.#random.pick([1, 1, 1, 2, 3, 6])
    // In one turn: no publish waits for the receipt of another.
    await Promise.all(Array.from({ length: count }, () => this.#publishOne(node, count === 1)))
  }

  async #publishOne({ hub }: Node, mayHaveKey: boolean): Promise<void> {
    const size = this.#random.chance(0.05) ? 30_000 : this.#random.chance(0.2) ? 400 : 0
    const data = `e${++this.#count}${'.'.repeat(size)}`
    const isTransient = this.#random.chance(0.08)
    const handling = isTransient
      ? {}
      : {
          ttl: this.#random.chance(0.1) ? this.#random.pick([1_000, 20_000]) : undefined,
          collapseKey: this.#random.chance(0.15) ? this.#random.pick(['k1', 'k2']) : undefined
        }
    const idempotencyKey = mayHaveKey && this.#random.chance(0.3) ? `key ${this.#random.from(1, 3)}` : undefined
    const to = this.#target()
    const channels: Channel[] = [
      ...(to.users ?? []).map(userChannel),
      ...(to.topics ?? []).map(topicChannel),
      ...(to.everyone ? ([EVERYONE] as const) : [])
    ]
    const known = idempotencyKey === undefined ? undefined : this.#keys.get(idempotencyKey)
    if (known !== undefined && known.until > this.#clock.monotonic()) return this.#repeat(hub, known)
    if (isTransient) this.#transients.set(data, channels)
    this.#handling.set(data, handling)
    const event = this.#random.pick(['message', 'note'])
    const draft = { to, event, data, transient: isTransient, idempotencyKey, ...handling }
    try {
      const [receipt] = await hub.publishBatch([draft])
      const isThere = isTransient || (receipt?.id != null && this.#model.positionOf(receipt.id) !== undefined)
      if (!isThere) throw new Violation('V7', `${data} was accepted as ${receipt?.id}, and is missing`)
      if (idempotencyKey !== undefined) this.#remember(idempotencyKey, draft, receipt?.id ?? null)
      this.#log(`  ${data.slice(0, 8)} ${data.length} to ${channels} ${receipt?.id} ${JSON.stringify(handling)}`)
    } catch (error) {
      if (error instanceof Violation) throw error
      // Rejected, or unknown: then the event may be stored, and its key counts.
      const published = this.published.find((event) => event.data === data)
      if (published !== undefined && idempotencyKey !== undefined) this.#remember(idempotencyKey, draft, published.id)
      this.#log(`  ${data.slice(0, 8)} to ${channels} failed${published ? ', and is stored' : ''}`)
    }
  }

  /** Publishes the same event again, for a publisher that does not know of the first receipt. */
  async #repeat(hub: Hub, { draft, id }: Known): Promise<void> {
    const [receipt] = await hub.publishBatch([draft]).catch((error: unknown) => {
      if (error instanceof Violation) throw error
      return []
    })
    if (receipt !== undefined && receipt.id !== id)
      throw new Violation('V7', `a repeated key gave ${receipt.id}, not ${id}`)
  }

  #remember(key: string, draft: Known['draft'], id: string | null): void {
    this.#keys.set(key, { draft, id, until: this.#clock.monotonic() + IDEMPOTENCY_WINDOW })
  }

  #target(): { users?: string[]; topics?: string[]; everyone?: boolean } {
    const some = (names: readonly string[]): string[] => [
      ...new Set([this.#random.pick(names), this.#random.pick(names)])
    ]
    const kind = this.#random.weighted({ user: 40, users: 10, topic: 20, topics: 10, everyone: 15, mixed: 5 })
    if (kind === 'user') return { users: [this.#random.pick(USERS)] }
    if (kind === 'users') return { users: some(USERS) }
    if (kind === 'topic') return { topics: [this.#random.pick(TOPICS)] }
    if (kind === 'topics') return { topics: some(TOPICS) }
    if (kind === 'everyone') return { everyone: true }
    return { users: some(USERS), topics: some(TOPICS), everyone: this.#random.chance(0.5) }
  }

  // Clients

  async connect(): Promise<void> {
    const idle = this.#clients.filter(({ connection }) => connection === undefined)
    if (idle.length === 0) return
    const client = this.#random.pick(idle)
    const node = this.#random.from(0, this.#nodes.length - 1)
    const { hub } = this.#nodes[node] as Node
    const kind = this.#random.weighted({
      own: 50,
      none: 12,
      oldest: 8,
      last: 6,
      old: 8,
      other: 6,
      garbage: 5,
      future: 5
    })
    const lastEventId = this.#cursorOf(client, kind)
    const requiredGap = lastEventId === undefined ? undefined : this.#model.flawOf(lastEventId)
    const requested =
      lastEventId !== undefined || kind === 'none' || kind === 'own' ? 'now' : kind === 'last' ? 'last' : 'oldest'
    const channels: Channel[] = [userChannel(client.user), ...client.topics.map(topicChannel), EVERYONE]
    const opened = this.#model.positionOf(hub.cursor())
    if (opened === undefined) throw new Violation('V2', `the hub is at ${hub.cursor()}, which the log never assigned`)
    const openedAt = this.#clock.monotonic()
    const check = new ConnectionCheck(this.#model, () => this.#clock.monotonic(), {
      ...{ user: client.user, channels, opened, requested, lastEventId, requiredGap, openedAt }
    })
    const expiresAt = this.#random.chance(0.1) ? this.#clock.now() + this.#random.pick([1, 700, 10_000]) : undefined
    const complain = (rule: string, message: string) => {
      this.#violation ??= new Violation(rule, message)
    }
    const onWritten = (dispatched: Dispatched) => {
      if (expiresAt !== undefined && this.#clock.now() >= expiresAt + TICK && !dispatched.event.startsWith('hub.')) {
        complain('V12', `${dispatched.data} was written after the identity had expired`)
      }
      try {
        check.take(dispatched, this.#transients)
      } catch (error) {
        complain(error instanceof Violation ? error.rule : 'W', String(error))
      }
    }
    const kernel = this.#random.pick([20, 300, 600, 600, 5_000])
    const sink = new ModelSink({ kernel, now: () => this.#clock.monotonic(), onWritten, complain })
    const startsAfter = lastEventId === undefined && requested === 'now' ? hub.cursor() : lastEventId
    const log: ConnectionLog = {
      listensTo: channels,
      startsAfter,
      openedAt: this.#step,
      records: [],
      isComplete: false
    }
    this.connections.push(log)
    const opening: StreamRequest = {
      user: client.user,
      topics: client.topics,
      expiresAt,
      lastEventId,
      from: requested === 'oldest' ? 'oldest' : undefined,
      last: requested === 'last' ? this.#random.from(1, 3) : undefined
    }
    this.#log(`  ${this.#nameOf(client)} ${kind} ${lastEventId ?? requested} on ${node}, hub at ${hub.cursor()}`)
    const stream = hub.open(sink, this.#plant.opening?.(opening) ?? opening)
    const catchUp = stream.catchUp.bind(stream)
    stream.catchUp = () => {
      this.#asking = check
      catchUp()
      this.#asking = undefined
    }
    this.#plant.stream?.(stream, sink, hub)
    const connection: Connection = { node, sink, stream, check, log, expiresAt }
    client.connect(connection)
  }

  #cursorOf(client: ModelClient, kind: Kind): string | undefined {
    if (kind === 'own') return resumable(client.lastEventId)
    if (kind === 'old') return resumable(this.#random.pick([...client.ids, '']))
    if (kind === 'other') return resumable(this.#random.pick(this.#clients.map(({ lastEventId }) => lastEventId)))
    if (kind === 'garbage') {
      return this.#random.pick([
        ...['x', '1.short', "' OR 1=1 --", '../../etc', `${'9'.repeat(40)}.0`, 'a, b', '\u00e9', '1.AAAAAAAAAAAAAA']
      ])
    }
    if (kind === 'future') return `${(this.#model.head + 1_000).toString(36)}.${this.#here().split('.')[1]}`
    return undefined
  }

  async cut(): Promise<void> {
    this.#someone()?.cut()
  }

  async stall(): Promise<void> {
    const client = this.#someone()
    if (client !== undefined) client.isStalled = true
  }

  async resume(): Promise<void> {
    const client = this.#someone(({ isStalled }) => isStalled)
    if (client === undefined) return
    client.isStalled = false
    client.read(Number.POSITIVE_INFINITY, this.#step)
  }

  /** Reads a few bytes, perhaps not a whole event. */
  async trickle(): Promise<void> {
    this.#someone()?.read(this.#random.from(1, 300), this.#step)
  }

  async kick(): Promise<void> {
    const { hub } = this.#random.pick(this.#nodes)
    await hub.disconnect(this.#random.pick(USERS), { reconnect: this.#random.chance(0.3) })
  }

  #someone(isMeant: (client: ModelClient) => boolean = () => true): ModelClient | undefined {
    const open = this.#clients.filter((client) => client.connection !== undefined && isMeant(client))
    return open.length === 0 ? undefined : this.#random.pick(open)
  }

  #readAll(): void {
    for (const client of this.#clients) if (!client.isStalled) client.read(Number.POSITIVE_INFINITY, this.#step)
  }

  // Time, and what goes wrong

  async advance(): Promise<void> {
    this.#clock.advance(this.#random.pick([10, 300, 1_000, 1_000, 5_000, 16_000, 16_000, 35_000, 3 * MINUTE]))
  }

  async answer(): Promise<void> {
    this.#random.pick(this.#nodes).log.answer(this.#random.from(1, 3))
  }

  async dispatch(): Promise<void> {
    this.#random.pick(this.#nodes).log.dispatch(this.#random.from(1, 4))
  }

  async slowness(): Promise<void> {
    const { log } = this.#random.pick(this.#nodes)
    log.isSlow = !log.isSlow
  }

  async lag(): Promise<void> {
    const { log } = this.#random.pick(this.#nodes)
    log.isLagging = !log.isLagging
    if (!log.isLagging) log.dispatch()
  }

  async breakTail(): Promise<void> {
    this.#random.pick(this.#nodes).log.loseConnection()
  }

  async failReads(): Promise<void> {
    const { log } = this.#random.pick(this.#nodes)
    log.failingReads = this.#random.from(0, 2)
    log.fail(this.#random.from(0, 2))
  }

  async failAppend(): Promise<void> {
    this.#random.pick(this.#nodes).log.failingAppend = this.#random.pick(['before', 'after'])
  }

  /** Shuts a node down, or kills it, and starts it again. */
  async restart(): Promise<void> {
    const node = this.#random.from(0, this.#nodes.length - 1)
    const clients = this.#clients.filter(({ connection }) => connection?.node === node)
    if (this.#random.chance(0.5)) for (const client of clients) client.cut()
    await (this.#nodes[node] as Node).hub.dispose()
    this.#readAll()
    for (const client of clients) client.cut()
    this.#nodes[node] = await this.#newNode()
  }

  /** Replaces the store by an empty one; each node notices when its tail next dispatches. */
  async wipe(): Promise<void> {
    await this.#newStore()
    for (const { log } of this.#nodes) await log.replace(this.#store as MemoryLog)
  }

  /** Settles all work under way, so that no reading client has pending events. */
  async rest(): Promise<void> {
    for (const { log } of this.#nodes) log.failingReads = 0
    for (let round = 0; round < 40; round++) {
      for (const { log } of this.#nodes) {
        log.dispatch()
        log.answer()
      }
      // The hub retries a failed read after a second.
      if (round === 10 || round === 20) this.#clock.advance(1_000 + TICK)
      await this.#turn(1)
      this.#readAll()
      if (round > 25 && this.#nodes.every(({ log }) => log.waiting === 0 && log.lagging === 0)) break
    }
    await this.#turn(2)
    this.#readAll()
    this.#inspect()
    for (const client of this.#clients) {
      if (client.isStalled || client.connection === undefined || client.connection.stream.isClosed) continue
      this.#log(`  rest of ${this.#nameOf(client)}`)
      client.connection.check.rest()
    }
  }

  async #turn(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Checks the invariants of every moment. */
  #inspect(): void {
    if (this.#violation !== undefined) throw this.#violation
    const now = this.#clock.monotonic()
    for (const client of this.#clients) {
      if (client.connection === undefined) continue
      const { sink, stream, check, expiresAt } = client.connection
      if (sink.isFull && !stream.isClosed && now - sink.progressAt > STALL_TIMEOUT + 2 * TICK) {
        throw new Violation(
          'V9',
          `${this.#nameOf(client)} has flushed nothing for ${now - sink.progressAt} ms, and is still open`
        )
      }
      if (check.closed?.reason === 'slow' && sink.endedAt - sink.progressAt < STALL_TIMEOUT - 2 * TICK) {
        throw new Violation('V9', `${this.#nameOf(client)} was closed after ${sink.endedAt - sink.progressAt} ms`)
      }
      if (expiresAt !== undefined && !stream.isClosed && this.#clock.now() >= expiresAt + TICK) {
        throw new Violation('V12', `${this.#nameOf(client)} is still open after its identity has expired`)
      }
    }
  }

  // The nodes and their store

  async #newStore(): Promise<void> {
    const store = new MemoryLog({
      clock: this.#clock,
      idempotencyWindow: IDEMPOTENCY_WINDOW,
      retention: { ...DEFAULT_RETENTION, ...this.#model.retention }
    })
    this.#store = store
    this.#keys.clear()
    this.#model.begin(this.#here())
    await store.tail({
      onEvents: (events) => {
        for (const event of events) {
          const handling = this.#handling.get(event.data) ?? {}
          if (event.id !== null) this.#model.append(event, handling, this.#clock.monotonic())
          if (this.published.some(({ data }) => data === event.data))
            throw new Violation('V7', `${event.data} is there twice`)
          const mayExpire = handling.ttl !== undefined || handling.collapseKey !== undefined
          this.published.push({
            id: event.id,
            channels: event.channels,
            data: event.data,
            at: this.#step,
            mayExpire
          })
        }
      },
      onDiscontinuity: () => {}
    })
  }

  /** The id of the store's current head. */
  #here(): string {
    const { next } = (this.#store as MemoryLog).read({ channels: [EVERYONE], from: 'head', limit: 1 })
    return `${next.seq.toString(36)}.${next.witness}`
  }

  async #newNode(): Promise<Node> {
    const log = new SlowLog(this.#store as MemoryLog, {
      isSlow: this.#random.chance(0.6),
      isLagging: this.#random.chance(0.4),
      chance: () => this.#random.next()
    })
    const read = log.read.bind(log)
    log.read = (query) => {
      this.#asking?.onRead()
      return read(query)
    }
    this.#plant.log?.(log)
    const hub = new Hub(
      { log, clock: this.#clock, stallTimeout: STALL_TIMEOUT, heartbeatInterval: 15_000, reconnectionTime: 2_000 },
      { error: () => {}, warn: () => {} }
    )
    this.#plant.hub?.(hub)
    await hub.start()
    return { hub, log }
  }

  #nameOf(client: ModelClient): string {
    return `${client.user}${this.#clients.indexOf(client)}`
  }

  #log(text: string): void {
    this.trace.push(`${this.#step} ${text}`)
  }
}

/** The id with which an event source reconnects; undefined if it was closed for good. */
function resumable(id: string): string | undefined {
  return id === '' || isEnded(id) ? undefined : id
}
