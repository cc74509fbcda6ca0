import type { Clock } from '../clock.ts'
import type { EventLog } from '../event-log/event-log.ts'
import type { NewEvent } from '../events/log-event.ts'
import { Fifo } from '../fifo.ts'
import type { Logger } from '../logger.ts'
import { randomText } from '../random.ts'
import type { LoggedQueue } from './logged-queue.ts'
import { Pause } from './pause.ts'

export interface QueueWriterOptions {
  readonly queue: LoggedQueue
  readonly log: EventLog
  readonly clock: Clock
  readonly logger: Logger
}

/** Max. number of entries in memory while the log does not accept them. */
const MAX_UNWRITTEN = 10_000
const BATCH = 100
const RETRY_INTERVAL = 1_000

/** Appends entries that belong to no event, in order. While the log is unavailable, they wait in memory. */
export class QueueWriter {
  /** Entries that were dropped because too many waited, or because the hub was closed before the log accepted them. */
  dropped = 0
  readonly #options: QueueWriterOptions
  readonly #unwritten = new Fifo<NewEvent>()
  readonly #pause: Pause
  #isStopped = false
  #writing: Promise<void> | undefined

  constructor(options: QueueWriterOptions) {
    this.#options = options
    this.#pause = new Pause(options.clock)
  }

  add(data: string): void {
    if (this.#isStopped || this.#unwritten.size >= MAX_UNWRITTEN) {
      this.#drop(1)
      return
    }
    // An append whose answer was lost is repeated.
    const idempotency = { scope: '\u0080queue', key: randomText(20), digest: '' }
    this.#unwritten.push({ ...this.#options.queue.entry(data), idempotency })
    this.#writing ??= this.#write()
  }

  /** Makes a last attempt. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#pause.end()
    await this.#writing
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const { log, queue, logger } = this.#options
    for (let hasFailed = false; this.#unwritten.size > 0; ) {
      const isLast = this.#isStopped
      const batch: NewEvent[] = []
      while (batch.length < BATCH && this.#unwritten.size > 0) batch.push(this.#unwritten.shift() as NewEvent)
      while (batch.length > 0) {
        try {
          await log.append(batch)
          batch.length = 0
          hasFailed = false
          queue.notify()
        } catch (error) {
          if (!hasFailed) logger.warn({ err: error }, 'entries of a queue wait in memory until the log accepts them')
          hasFailed = true
          if (isLast || this.#isStopped) {
            this.#abandon(batch.length)
            return
          }
          await this.#pause.wait(RETRY_INTERVAL)
        }
      }
    }
    this.#writing = undefined
  }

  #abandon(count: number): void {
    this.#drop(count + this.#unwritten.size)
    this.#unwritten.clear()
    this.#writing = undefined
  }

  #drop(count: number): void {
    // Later drops are counted only: a log line for each would be as many as there are entries.
    if (this.dropped === 0)
      this.#options.logger.error({ count }, 'entries of a queue were dropped: the log was unavailable')
    this.dropped += count
  }
}
