import { BatchTooLargeError, HubClosedError, IdempotencyKeyReusedError, LogUnavailableError } from '../../errors.ts'
import { formatCursor, newEpoch, newWitness } from '../../events/cursor.ts'
import type { NewEvent } from '../../events/log-event.ts'
import { randomText } from '../../random.ts'
import { LinkError, type OnMissing } from '../../redis/link.ts'
import type { Receipt } from '../event-log.ts'
import { CallOrder } from './call-order.ts'
import type { LogState } from './log-state.ts'
import { type EntryHeader, headerOf, textOf } from './redis-entry.ts'

/** Bounds of one call of the script, which blocks Redis; a single larger batch is a call of its own. */
const CALL_EVENTS = 512
const CALL_BYTES = 1_048_576
/** Max. number of events of a batch. */
const MAX_EVENTS = 10_000
/** Max. number of calls in flight: while Redis executes one, the next is on the connection. */
const CALLS = 2
/** Bounds of the queue in this process; beyond them appends are rejected, to bound the memory. */
const WAITING_EVENTS = 20_000
const WAITING_BYTES = 67_108_864

/** The script's reply for each event of a batch that it has rejected for its idempotency keys. */
const REJECTED = '!'
/** Its reply for an event whose condition does not hold. */
const NOT_APPENDED = '-'

interface QueuedBatch {
  readonly headers: readonly EntryHeader[]
  readonly texts: readonly string[]
  readonly bytes: number
  readonly streams: readonly number[]
  readonly resolve: (receipts: readonly Receipt[]) => void
  readonly reject: (error: Error) => void
}

export interface AppendCall {
  readonly nonce: string
  readonly batches: string
  readonly texts: readonly string[]
}

export interface AppenderParts {
  /** Runs the script with the events of a call. */
  readonly run: (call: AppendCall, onMissing: OnMissing) => Promise<LogState>
  /** Takes the state of the log in a reply. */
  readonly observe: (state: LogState) => LogState
  /** The reason why nothing can be sent now; empty if it can. */
  readonly problem: () => string
  /** After how many milliseconds an event expires, if it does. */
  readonly lifetimeOf: (event: NewEvent) => number | undefined
}

/** Joins concurrent appends into one call: an append costs Redis little, a call much. */
export class Appender {
  readonly #parts: AppenderParts
  #waiting: QueuedBatch[] = []
  #queuedEvents = 0
  #queuedBytes = 0
  #calls = 0
  #isScheduled = false
  #isClosed = false
  readonly #order = new CallOrder()
  readonly #whenIdle: (() => void)[] = []

  constructor(parts: AppenderParts) {
    this.#parts = parts
  }

  async append(events: readonly NewEvent[]): Promise<readonly Receipt[]> {
    if (this.#isClosed) throw new HubClosedError()
    if (events.length === 0) return []
    if (events.length > MAX_EVENTS) throw new BatchTooLargeError(MAX_EVENTS, events.length)
    const problem = this.#parts.problem()
    if (problem !== '') throw nothingDone(`Redis cannot be reached (${problem})`)
    const texts = events.map(textOf)
    const bytes = texts.reduce((sum, text) => sum + text.length, 0)
    const isFull = this.#queuedEvents + events.length > WAITING_EVENTS || this.#queuedBytes + bytes > WAITING_BYTES
    if (isFull && this.#waiting.length > 0) throw nothingDone('too many events wait for Redis')
    const headers = events.map((event) => headerOf(event, randomText(6), this.#parts.lifetimeOf(event)))
    const streams = events.map((event) => event.streams)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ headers, texts, bytes, streams, resolve, reject })
      this.#queuedEvents += events.length
      this.#queuedBytes += bytes
      this.#schedule()
    })
  }

  /** Accepts no more appends; resolves when all accepted ones have settled. */
  async close(): Promise<void> {
    this.#isClosed = true
    while (this.#calls > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#calls >= CALLS || this.#waiting.length === 0) return
    this.#isScheduled = true
    // The connection writes once in a turn of the event loop: other appends of this turn share the call.
    setImmediate(() => {
      this.#isScheduled = false
      while (this.#calls < CALLS && this.#waiting.length > 0) this.#send()
    })
  }

  #send(): void {
    const batch = this.#takeBatch()
    this.#calls++
    this.#call(batch)
      .catch((error: unknown) => {
        const rejection = rejectionOf(error)
        for (const { reject } of batch) reject(rejection)
      })
      .finally(() => {
        this.#calls--
        this.#schedule()
        for (const resolve of this.#whenIdle.splice(0)) resolve()
      })
  }

  #takeBatch(): QueuedBatch[] {
    let events = 0
    let bytes = 0
    let count = 0
    for (const each of this.#waiting) {
      if (count > 0 && (events + each.texts.length > CALL_EVENTS || bytes + each.bytes > CALL_BYTES)) break
      events += each.texts.length
      bytes += each.bytes
      count++
    }
    this.#queuedEvents -= events
    this.#queuedBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  async #call(batch: readonly QueuedBatch[]): Promise<void> {
    const batches = JSON.stringify(batch.map((each) => each.headers))
    const texts = batch.flatMap((each) => each.texts)
    const call = { nonce: randomText(10), batches, texts }
    const state = this.#parts.observe(await this.#order.run((onMissing) => this.#parts.run(call, onMissing)))
    let at = 0
    for (const { headers, streams, resolve, reject } of batch) {
      const answers = state.rest.slice(at, at + headers.length)
      at += headers.length
      if (answers[0] === REJECTED) reject(new IdempotencyKeyReusedError())
      else
        resolve(
          headers.map(([witness], index) =>
            receiptOf(state, answers[index] as string | number, witness, streams[index])
          )
        )
    }
  }
}

/**
 * An answer is the number of an appended event, 0 for a transient one, `NOT_APPENDED`, or the first receipt of its idempotency
 * key.
 */
function receiptOf({ epoch }: LogState, answer: string | number, witness: string, streams = 0): Receipt {
  if (typeof answer === 'number') return { id: idOf(answer, epoch + witness), streams, isRepeat: false }
  if (answer === NOT_APPENDED) return { id: null, streams: 0, isRepeat: false }
  const [seq, before, counted] = answer.split(' ') as [string, string, string]
  return { id: idOf(Number(seq), epoch + before), streams: Number(counted), isRepeat: true }
}

function idOf(seq: number, witness: string): string | null {
  return seq === 0 ? null : formatCursor({ seq, witness })
}

/** The name and first witness of an epoch, in case the script has to begin one. */
export function candidate(): string {
  return newWitness(newEpoch())
}

function nothingDone(problem: string): Error {
  return new LogUnavailableError(`${problem}. Nothing was published; try again later`)
}

/** The error for a publisher: nothing was published, or that is unknown. */
function rejectionOf(error: unknown): Error {
  if (!(error instanceof LinkError)) return nothingDone(`Redis rejected it (${(error as Error).message})`)
  if (!error.wasSent) return nothingDone(error.message)
  return new LogUnavailableError(
    `${error.message}. It is not known whether it was published; publish it again with the same idempotency key`
  )
}

/** The error for a reader or listener. */
export function unreadable(error: unknown): Error {
  return new LogUnavailableError(`${(error as Error).message}. Try again later`)
}
