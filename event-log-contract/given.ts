import assert from 'node:assert/strict'
import type { EventLog, ReadFrom, ReadResult, Tail, TailListener } from '../services/event-log/event-log.ts'
import type { Retention } from '../services/event-log/retention.ts'
import type { Channel } from '../services/events/channel.ts'
import type { Cursor } from '../services/events/cursor.ts'
import type { Idempotency, LogEvent, NewEvent } from '../services/events/log-event.ts'

/** What a log under test is to keep: everything, but for what the test is about. */
export interface Bounds {
  readonly retention: Retention
  /** How long an idempotency key is remembered, in milliseconds. */
  readonly idempotencyWindow: number
}

/** How the contract gets at logs of one kind, and what that kind can do. */
export interface ContractParts<Log extends EventLog> {
  /** Runs a test, or enters it on a list: `test` of `node:test` as it is, of tap `(name, body) => t.test(name, body)`. */
  readonly test: (name: string, body: () => Promise<void>) => unknown
  /** Opens a log over a store of its own, in which nothing has ever been. */
  readonly createLog: (bounds: Bounds) => Log | Promise<Log>
  /** Clears away the store of a log that `createLog` opened, when it and all others over it have been closed. */
  readonly dispose?: ((log: Log) => unknown) | undefined

  /**
   * The log's clock can be turned: lets time pass for all logs over its store. Without it the lapse of age, `ttl` and
   * idempotency keys is not tested. A log on real time may wait, if it says in `unit` how little time is enough.
   */
  readonly advance?: ((log: Log, milliseconds: number) => unknown) | undefined
  /**
   * What the contract measures time in, in milliseconds: things that last some units are looked at half a unit before and
   * after their time.
   * @default 1_000
   */
  readonly unit?: number | undefined
  /**
   * The log is durable: ends it as abruptly as can be, and opens what it left. Nothing else looks at the store meanwhile.
   */
  readonly reopen?: ((log: Log) => Log | Promise<Log>) | undefined
  /** The log is shared: another node opens the same store. */
  readonly secondNode?: ((log: Log) => Log | Promise<Log>) | undefined
  /**
   * The log reaches its store over a line: cuts it, and returns what mends it. Only with `secondNode`, which keeps its own.
   */
  readonly cut?: ((log: Log) => (() => unknown) | Promise<() => unknown>) | undefined
  /**
   * The store can lose what it acknowledged: returns what puts it back as it is now, as a failover does that lost its tail,
   * and resolves with the log as it is found then.
   */
  readonly rewind?: ((log: Log) => (() => Log | Promise<Log>) | Promise<() => Log | Promise<Log>>) | undefined
  /**
   * The log leaves bounds in bytes to its store: then they are not tested.
   * @default false
   */
  readonly withoutByteBounds?: boolean | undefined

  /**
   * How long the contract waits for what must come, in milliseconds.
   * @default 10_000
   */
  readonly patience?: number | undefined
  /**
   * What chance begins with. A failure tells it, so that the same can be tried again first.
   * @default another one each time
   */
  readonly seed?: number | undefined
}

/** Enters a test on the list. */
export type Define<Log extends EventLog> = (name: string, body: (given: Given<Log>) => Promise<void>) => void

/** Tests that are given logs, which are closed after them, and that do not wait for ever. */
export function definer<Log extends EventLog>(parts: ContractParts<Log>): Define<Log> {
  return (name, body) => {
    parts.test(name, async () => {
      const given = new Given(parts)
      try {
        await given.inTime(body(given), 'the test to end')
      } finally {
        await given.inTime(given.clear(), 'the logs to close')
      }
    })
  }
}

const EVERYTHING: Retention = {
  user: 100_000,
  topic: 100_000,
  everyone: 100_000,
  age: 86_400_000,
  channelBytes: 1_000_000_000,
  bytes: 1_000_000_000
}

/** What a test works with: logs that it need not close, and listeners that wait. */
export class Given<Log extends EventLog> {
  readonly parts: ContractParts<Log>
  readonly #created: Log[] = []
  readonly #opened: Log[] = []

  constructor(parts: ContractParts<Log>) {
    this.parts = parts
  }

  async log({
    idempotencyWindow = 3_600_000,
    ...retention
  }: Partial<Retention> & { idempotencyWindow?: number } = {}): Promise<Log> {
    const log = await this.parts.createLog({ retention: { ...EVERYTHING, ...retention }, idempotencyWindow })
    this.#created.push(log)
    this.#opened.push(log)
    return log
  }

  async reopened(log: Log): Promise<Log> {
    return this.#keep(await this.#ability('reopen')(log))
  }

  async secondNode(log: Log): Promise<Log> {
    return this.#keep(await this.#ability('secondNode')(log))
  }

  async rewinding(log: Log): Promise<() => Promise<Log>> {
    const back = await this.#ability('rewind')(log)
    return async () => this.#keep(await back())
  }

  async advance(log: Log, milliseconds: number): Promise<void> {
    await this.#ability('advance')(log, milliseconds)
  }

  async cut(log: Log): Promise<() => unknown> {
    return this.#ability('cut')(log)
  }

  /** Begins to listen to a log. */
  async listener(log: Log, onEvents?: (events: readonly LogEvent[]) => void): Promise<Listener> {
    const listener = new Listener(this.patience, onEvents)
    listener.tail = await log.tail(listener)
    return listener
  }

  /** How long to wait for what must come, in milliseconds. */
  get patience(): number {
    return this.parts.patience ?? 10_000
  }

  /** Fails if it takes much longer than patience lasts. */
  inTime<Result>(promise: Promise<Result>, what: string): Promise<Result> {
    return inTime(promise, 2 * this.patience, () => `waited in vain for ${what}`)
  }

  async clear(): Promise<void> {
    for (const log of this.#opened) await log.close()
    for (const log of this.#created) await this.parts.dispose?.(log)
  }

  #keep(log: Log): Log {
    this.#opened.push(log)
    return log
  }

  #ability<Name extends 'reopen' | 'secondNode' | 'rewind' | 'advance' | 'cut'>(
    name: Name
  ): NonNullable<ContractParts<Log>[Name]> {
    const ability = this.parts[name]
    if (ability === undefined) throw new TypeError(`${name} was not given`)
    return ability
  }
}

/** Remembers what a tail hands over, and lets a test wait for it. */
export class Listener implements TailListener {
  readonly events: LogEvent[] = []
  readonly breaks: Cursor[] = []
  tail: Tail | undefined
  readonly #patience: number
  readonly #onEvents: ((events: readonly LogEvent[]) => void) | undefined
  #wake: (() => void) | undefined

  constructor(patience: number, onEvents: ((events: readonly LogEvent[]) => void) | undefined) {
    this.#patience = patience
    this.#onEvents = onEvents
  }

  onEvents(events: readonly LogEvent[]): void {
    this.events.push(...events)
    this.#onEvents?.(events)
    this.#wake?.()
  }

  onDiscontinuity(position: Cursor): void {
    this.breaks.push(position)
    this.#wake?.()
  }

  get texts(): string[] {
    return this.events.map((event) => event.data)
  }

  /** The numbers of all that has one. */
  get seqs(): number[] {
    return this.events.flatMap((event) => event.cursor?.seq ?? [])
  }

  get position(): Cursor {
    assert.ok(this.tail?.position)
    return this.tail.position
  }

  /** Waits until an event with this text has been handed over. */
  async met(text: string): Promise<void> {
    await this.until(() => this.events.some((event) => event.data === text), JSON.stringify(text))
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    const told = () => `waited in vain for ${what}; was handed ${JSON.stringify(this.texts.slice(-20))}`
    const waiting = new Promise<void>((resolve) => {
      this.#wake = () => {
        if (isTrue()) resolve()
      }
    })
    this.#wake?.()
    await inTime(waiting, this.#patience, told)
  }
}

async function inTime<Result>(promise: Promise<Result>, milliseconds: number, told: () => string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: told() })), milliseconds)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Begins what is waited for later: if it fails before that, it is told then. */
export function begun<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => undefined)
  return promise
}

/** Lets the event loop turn once. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** An event on its way into the log, of which only the text matters. */
export function draft(to: Channel | readonly Channel[], data: string, rest: Partial<NewEvent> = {}): NewEvent {
  const channels = typeof to === 'string' ? [to] : to
  return { channels, event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}

/** An idempotency key of one scope, with one content, unless the test is about these. */
export function idempotent(key: string, { scope = 'publisher', digest = 'content' } = {}): Idempotency {
  return { scope, key, digest }
}

/** Reads as much as there is. */
export async function readAll(log: EventLog, of: Channel | readonly Channel[], from: ReadFrom): Promise<ReadResult> {
  return log.read({ channels: typeof of === 'string' ? [of] : of, from, limit: 100_000 })
}

export async function textsOf(log: EventLog, of: Channel | readonly Channel[]): Promise<string[]> {
  return texts(await readAll(log, of, 'oldest'))
}

export function texts(page: ReadResult): string[] {
  return page.events.map((event) => event.data)
}

export function seqs(page: ReadResult): number[] {
  return page.events.map((event) => cursorOf(event).seq)
}

export function cursorOf(event: LogEvent | undefined): Cursor {
  assert.ok(event?.cursor, 'an event that is kept has a cursor')
  return event.cursor
}

/** The head of the log, as a reader of `everyone` finds it. */
export async function headOf(log: EventLog): Promise<Cursor> {
  return (await log.read({ channels: ['everyone'], from: 'head', limit: 1 })).next
}

/** 'a1', 'a2', … */
export function named(letter: string, count: number, first = 1): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${first + index}`)
}
