import assert from 'node:assert/strict'
import type { EventLog, ReadFrom, ReadResult, Tail, TailListener } from '../services/event-log/event-log.ts'
import type { Retention } from '../services/event-log/retention.ts'
import type { Channel } from '../services/events/channel.ts'
import type { Cursor } from '../services/events/cursor.ts'
import type { Idempotency, LogEvent, NewEvent } from '../services/events/log-event.ts'

/** The bounds of a log under test: everything is kept, except for the subject of the test. */
export interface Bounds {
  readonly retention: Retention
  /** How long an idempotency key is remembered, in milliseconds. */
  readonly idempotencyWindow: number
}

/** Gives the contract access to logs of one kind, and declares their optional abilities. */
export interface ContractParts<Log extends EventLog> {
  /** Runs or registers a test: `test` of `node:test` as it is, of tap `(name, body) => t.test(name, body)`. */
  readonly test: (name: string, body: () => Promise<void>) => unknown
  /** Opens a log over a new store of its own. */
  readonly createLog: (bounds: Bounds) => Log | Promise<Log>
  /** Deletes the store of a log that `createLog` opened, after it and all others over it have been closed. */
  readonly dispose?: ((log: Log) => unknown) | undefined

  /**
   * The log's clock can be advanced: lets time pass for all logs over its store. Without it the expiry of age, `ttl` and
   * idempotency keys is not tested. A log on real time may wait, with a `unit` that is as short as possible.
   */
  readonly advance?: ((log: Log, milliseconds: number) => unknown) | undefined
  /**
   * The contract's unit of time in milliseconds: durations of some units are checked half a unit before and after their end.
   * @default 1_000
   */
  readonly unit?: number | undefined
  /**
   * The log is durable: ends it as abruptly as possible, and opens its store again. Nothing else accesses the store meanwhile.
   */
  readonly reopen?: ((log: Log) => Log | Promise<Log>) | undefined
  /** The log is shared: another node opens the same store. */
  readonly secondNode?: ((log: Log) => Log | Promise<Log>) | undefined
  /**
   * The log has a connection to its store: cuts it, and returns a function that restores it. Only with `secondNode`, which keeps its own.
   */
  readonly cut?: ((log: Log) => (() => unknown) | Promise<() => unknown>) | undefined
  /**
   * The store can lose acknowledged events: returns a function that restores the current state, as after a failover with a lost
   * tail, and resolves with the log in that state.
   */
  readonly rewind?: ((log: Log) => (() => Log | Promise<Log>) | Promise<() => Log | Promise<Log>>) | undefined
  /**
   * The log leaves bounds in bytes to its store: then they are not tested.
   * @default false
   */
  readonly withoutByteBounds?: boolean | undefined

  /**
   * Timeout of expected events in milliseconds.
   * @default 10_000
   */
  readonly patience?: number | undefined
  /**
   * Seed of the random tests. A failure reports it, so that the same run can be repeated.
   * @default a new one each time
   */
  readonly seed?: number | undefined
}

/** Registers a test. */
export type Define<Log extends EventLog> = (name: string, body: (given: Given<Log>) => Promise<void>) => void

/** Registers tests that get logs, which are closed after them, and that have a timeout. */
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
  inbox: 10_000,
  inboxAge: 90 * 86_400_000,
  channelBytes: 1_000_000_000,
  bytes: 1_000_000_000
}

/** The means of a test: logs that it need not close, and listeners that wait. */
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

  /** Opens a tail of a log. */
  async listener(log: Log, onEvents?: (events: readonly LogEvent[]) => void): Promise<Listener> {
    const listener = new Listener(this.patience, onEvents)
    listener.tail = await log.tail(listener)
    return listener
  }

  /** Timeout of expected events in milliseconds. */
  get patience(): number {
    return this.parts.patience ?? 10_000
  }

  /** Fails if it takes much longer than the timeout. */
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

/** Records the events that a tail dispatches, and lets a test wait for them. */
export class Listener implements TailListener {
  readonly events: LogEvent[] = []
  readonly discontinuities: Cursor[] = []
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
    this.discontinuities.push(position)
    this.#wake?.()
  }

  get texts(): string[] {
    return this.events.map((event) => event.data)
  }

  /** The numbers of all events that have one. */
  get seqs(): number[] {
    return this.events.flatMap((event) => event.cursor?.seq ?? [])
  }

  get position(): Cursor {
    assert.ok(this.tail?.position)
    return this.tail.position
  }

  /** Waits until an event with this text has been dispatched. */
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

/** Marks a promise that is awaited later as handled, so that an earlier failure surfaces there. */
export function begun<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => undefined)
  return promise
}

/** Lets the event loop turn once. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A new event, of which only the text matters. */
export function draft(to: Channel | readonly Channel[], data: string, rest: Partial<NewEvent> = {}): NewEvent {
  const channels = typeof to === 'string' ? [to] : to
  return { channels, event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}

/** An idempotency key of one scope, with one content, unless the test is about these. */
export function idempotent(key: string, { scope = 'publisher', digest = 'content' } = {}): Idempotency {
  return { scope, key, digest }
}

/** Reads all events. */
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
