import { BatchTooLargeError, HubClosedError, IdempotencyKeyReusedError, LogUnavailableError } from '../../errors.ts'
import { formatCursor, newEpoch, newWitness } from '../../events/cursor.ts'
import type { NewEvent } from '../../events/log-event.ts'
import { randomText } from '../../random.ts'
import { LinkError, type OnMissing } from '../../redis/link.ts'
import type { Receipt } from '../event-log.ts'
import { CallOrder } from './call-order.ts'
import type { LogState } from './log-state.ts'
import { type EntryHeader, headerOf, textOf } from './redis-entry.ts'

/** What one call of the script holds at most, unless a single batch is more: Redis does nothing else meanwhile. */
const CALL_EVENTS = 512
const CALL_BYTES = 1_048_576
/** A single batch may hold so many. */
const MAX_EVENTS = 10_000
/** How many calls are on their way at a time: while Redis works on one, the next is on the line. */
const CALLS = 2
/** What waits in this process: beyond that appends are refused, for memory would be next. */
const WAITING_EVENTS = 20_000
const WAITING_BYTES = 67_108_864

/** What the script answers for each event of a batch that it has refused for its idempotency keys. */
const REFUSED = '!'

interface Waiting {
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
  /** Runs the script with what the events are. */
  readonly run: (call: AppendCall, onMissing: OnMissing) => Promise<unknown>
  /** Takes note of what it has answered. */
  readonly noted: (reply: unknown) => LogState
  /** Whether anything would be sent now, and why not. */
  readonly problem: () => string
}

/** Joins what waits at the same time into one call: an append costs Redis little, a call much. */
export class Appender {
  readonly #parts: AppenderParts
  #waiting: Waiting[] = []
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
    const isTooMuch = this.#queuedEvents + events.length > WAITING_EVENTS || this.#queuedBytes + bytes > WAITING_BYTES
    if (isTooMuch && this.#waiting.length > 0) throw nothingDone('too many events wait for Redis')
    const headers = events.map((event) => headerOf(event, randomText(6)))
    const streams = events.map((event) => event.streams)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ headers, texts, bytes, streams, resolve, reject })
      this.#queuedEvents += events.length
      this.#queuedBytes += bytes
      this.#schedule()
    })
  }

  /** Takes nothing more; resolves when everything that was taken has been answered. */
  async close(): Promise<void> {
    this.#isClosed = true
    while (this.#calls > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#calls >= CALLS || this.#waiting.length === 0) return
    this.#isScheduled = true
    // The line writes once in a turn of the event loop: what else is appended in this turn goes along.
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
        const refusal = refusalOf(error)
        for (const { reject } of batch) reject(refusal)
      })
      .finally(() => {
        this.#calls--
        this.#schedule()
        for (const resolve of this.#whenIdle.splice(0)) resolve()
      })
  }

  #takeBatch(): Waiting[] {
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

  async #call(batch: readonly Waiting[]): Promise<void> {
    const batches = JSON.stringify(batch.map((each) => each.headers))
    const texts = batch.flatMap((each) => each.texts)
    const call = { nonce: randomText(10), batches, texts }
    const reply = await this.#order.run((onMissing) => this.#parts.run(call, onMissing))
    const state = this.#parts.noted(reply)
    let at = 0
    for (const { headers, streams, resolve, reject } of batch) {
      const answers = state.rest.slice(at, at + headers.length)
      at += headers.length
      if (answers[0] === REFUSED) reject(new IdempotencyKeyReusedError())
      else
        resolve(
          headers.map(([witness], index) =>
            receiptOf(state, answers[index] as string | number, witness, streams[index])
          )
        )
    }
  }
}

/** The number of what was appended, 0 for what is transient, or the receipt that its key has got before. */
function receiptOf({ epoch }: LogState, answer: string | number, witness: string, streams = 0): Receipt {
  if (typeof answer === 'number') return { id: idOf(answer, epoch + witness), streams, isRepeat: false }
  const [seq, before, counted] = answer.split(' ') as [string, string, string]
  return { id: idOf(Number(seq), epoch + before), streams: Number(counted), isRepeat: true }
}

function idOf(seq: number, witness: string): string | null {
  return seq === 0 ? null : formatCursor({ seq, witness })
}

/** The name and first witness of a life, in case one has to begin. */
export function candidate(): string {
  return newWitness(newEpoch())
}

function nothingDone(problem: string): Error {
  return new LogUnavailableError(`${problem}. Nothing was published; try again later`)
}

/** What a publisher is told: that nothing was done, or that nobody knows. */
function refusalOf(error: unknown): Error {
  if (!(error instanceof LinkError)) return nothingDone(`Redis refused it (${(error as Error).message})`)
  if (!error.wasSent) return nothingDone(error.message)
  return new LogUnavailableError(
    `${error.message}. Whether it was published is not known; publish it again with the same idempotency key`
  )
}

/** What a reader or listener is told. */
export function unread(error: unknown): Error {
  return new LogUnavailableError(`${(error as Error).message}. Try again later`)
}
