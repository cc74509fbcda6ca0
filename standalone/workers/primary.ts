import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import { EnvironmentError } from '../values.ts'
import { CountExchange } from './count-exchange.ts'
import { PartCollector } from './part-collector.ts'
import { isHubMessage, type PrimaryMessage, WORKER_NUMBER, type WorkerMessage } from './protocol.ts'

/** Delay before the first and the last replacement in a row, in milliseconds; it doubles in between. */
const FIRST_DELAY = 100
const LAST_DELAY = 10_000
/** A worker that has served for so long has started well, in milliseconds: the next delay is the first one again. */
const STABLE = 10_000
/** If no worker serves after so many attempts in a row, the server ends. */
const MAX_FAILURES = 5
/** How often the workers are asked whether they still work, in milliseconds. */
const CHECK_INTERVAL = 5_000
/**
 * A worker that has not answered so many questions in a row hangs, and is killed: no probe from outside notices it, because the
 * others answer. Questions are counted and not time, so that a machine that was suspended keeps its workers.
 */
const MAX_UNANSWERED = 12
/** How long the workers have to stop by themselves before they are killed, in milliseconds, beside what they are granted. */
const MARGIN = 500

export interface PrimaryOptions {
  /** The number of workers. */
  readonly workers: number
  /** The module that each worker runs. */
  readonly module: string
  /** How long a worker may take to stop, in milliseconds. */
  readonly stopWithin: number
  readonly logger: FastifyBaseLogger
  /** All workers serve for the first time, at this port. */
  readonly onServing: (port: number) => void
}

interface Slot {
  readonly number: number
  worker: Worker | undefined
  isStarted: boolean
  /** Since when it serves. */
  servesSince: number | undefined
  /** The reason that the worker has given for its failure. */
  reason: string | undefined
  failures: number
  /** Number of questions without an answer. */
  unanswered: number
  /** The keys have changed while it started. */
  mustReload: boolean
  restart: NodeJS.Timeout | undefined
}

/** The primary process: starts the workers, replaces those that die, and stops all of them. It serves nothing itself. */
export class Primary {
  readonly #options: PrimaryOptions
  readonly #slots: readonly Slot[]
  readonly #exchange = new CountExchange()
  readonly #collector = new PartCollector()
  /** Whether all workers were ready to listen at the same time. */
  #isOpen = false
  /** Whether a worker has served. */
  #hasServed = false
  #isAnnounced = false
  #isStopping = false
  #exitCode = 0
  #failure: EnvironmentError | undefined
  #end: (code: number) => void = () => {}
  #fail: (error: EnvironmentError) => void = () => {}

  constructor(options: PrimaryOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.workers }, (_, at) => ({
      ...{ number: at + 1, worker: undefined, isStarted: false, servesSince: undefined, reason: undefined },
      ...{ failures: 0, unanswered: 0, mustReload: false, restart: undefined }
    }))
  }

  /**
   * Resolves with the exit code when all workers have ended after a stop.
   * @throws {EnvironmentError} when no worker can be started.
   */
  run(): Promise<number> {
    cluster.setupPrimary({ exec: this.#options.module, args: [] })
    const ending = new Promise<number>((resolve, reject) => {
      this.#end = resolve
      this.#fail = reject
    })
    for (const slot of this.#slots) this.#start(slot)
    setInterval(() => this.#check(), CHECK_INTERVAL).unref()
    return ending
  }

  /** Has every worker stop, and replaces none. A further call repeats the signal. */
  stop(): void {
    for (const { worker } of this.#slots) worker?.process.kill('SIGTERM')
    if (this.#isStopping) return
    this.#isStopping = true
    for (const { restart } of this.#slots) clearTimeout(restart)
    setTimeout(() => this.#kill(), this.#options.stopWithin + MARGIN).unref()
    this.#endIfDone()
  }

  /** Has every worker read the keys again. */
  reload(): void {
    for (const slot of this.#slots) {
      // Before it has started, the signal would end it.
      if (slot.isStarted) slot.worker?.process.kill('SIGHUP')
      else slot.mustReload = true
    }
  }

  #start(slot: Slot): void {
    const worker = cluster.fork({ [WORKER_NUMBER]: String(slot.number) })
    Object.assign(slot, { worker, isStarted: false, servesSince: undefined, reason: undefined, mustReload: false })
    slot.unanswered = 0
    worker.on('message', (message: unknown) => {
      if (isHubMessage(message)) this.#receive(slot, worker, message)
    })
    worker.on('listening', ({ port }) => this.#serves(slot, port))
    worker.on('error', (error) => this.#options.logger.error({ err: error, worker: slot.number }, 'a worker failed'))
    // Its last message may arrive after its end.
    const exit = once(worker, 'exit')
    Promise.all([exit, once(worker, 'disconnect')]).then(
      ([[code, signal]]) => this.#ended(slot, worker, code, signal),
      (error) => this.#options.logger.error({ err: error, worker: slot.number }, 'a worker could not be started')
    )
  }

  #receive(slot: Slot, worker: Worker, message: WorkerMessage): void {
    const { number } = slot
    const send = (message: PrimaryMessage) => sendTo(worker, message)
    if (message.hub === 'joined') this.#exchange.join(number, (changes) => send({ hub: 'counted', changes }))
    else if (message.hub === 'started') this.#started(slot)
    else if (message.hub === 'alive') slot.unanswered = 0
    else if (message.hub === 'failed') slot.reason = message.reason
    else if (message.hub === 'counted') this.#exchange.counted(number, message.changes)
    else if (message.hub === 'part') {
      const { id, value, error } = message
      if (error !== undefined)
        this.#options.logger.error({ worker: number, error }, 'a worker could not read its state')
      this.#collector.answered(number, id, value)
    } else if (message.hub === 'collect') {
      const { id, part } = message
      const serving = this.#slots.filter(({ servesSince }) => servesSince !== undefined)
      const ask = (at: number, id: number) => sendTo(this.#slots[at - 1]?.worker, { hub: 'read', id, part })
      const done = (parts: Extract<PrimaryMessage, { hub: 'collected' }>['parts']) =>
        send({ hub: 'collected', id, parts })
      const numbers = serving.map(({ number }) => number)
      this.#collector.collect(numbers, ask, done)
    }
  }

  #started(slot: Slot): void {
    slot.isStarted = true
    if (slot.mustReload) slot.worker?.process.kill('SIGHUP')
    if (this.#isOpen) sendTo(slot.worker, { hub: 'listen' })
    if (this.#isOpen || this.#slots.some(({ isStarted }) => !isStarted)) return
    this.#isOpen = true
    for (const { worker } of this.#slots) sendTo(worker, { hub: 'listen' })
  }

  #serves(slot: Slot, port: number): void {
    if (slot.servesSince !== undefined) return
    slot.servesSince = performance.now()
    this.#hasServed = true
    this.#options.logger.info({ worker: slot.number, process: slot.worker?.process.pid }, 'a worker serves')
    if (this.#isAnnounced || this.#slots.some(({ servesSince }) => servesSince === undefined)) return
    this.#isAnnounced = true
    this.#options.onServing(port)
  }

  #ended(slot: Slot, worker: Worker, code: number | null, signal: string | null): void {
    const { number, servesSince, isStarted } = slot
    slot.worker = undefined
    slot.isStarted = false
    slot.servesSince = undefined
    this.#exchange.leave(number)
    this.#collector.left(number)
    const reason = slot.reason ?? `worker ${number} ended with ${signal ?? `exit code ${code}`}`
    if (this.#isStopping) {
      // A worker that has not started yet ends by the signal.
      if (code !== 0 && isStarted) this.#exitCode = 1
      this.#endIfDone()
      return
    }
    const hasFailed = servesSince === undefined || performance.now() - servesSince < STABLE
    slot.failures = hasFailed ? slot.failures + 1 : 0
    const isAlone = this.#slots.every(({ worker }) => worker === undefined)
    if (!this.#hasServed || (isAlone && slot.failures >= MAX_FAILURES)) {
      this.#failure = new EnvironmentError(this.#hasServed ? `no worker can be started any more: ${reason}` : reason)
      this.stop()
      return
    }
    const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** Math.max(0, slot.failures - 1))
    const details = { worker: number, process: worker.process.pid, code, signal, reason: slot.reason }
    this.#options.logger.error(details, `a worker has ended; another one takes its place in ${delay} ms`)
    slot.restart = setTimeout(() => this.#start(slot), delay)
  }

  #check(): void {
    for (const slot of this.#slots) {
      const { number, worker, servesSince } = slot
      if (worker === undefined || servesSince === undefined) continue
      slot.unanswered++
      if (slot.unanswered <= MAX_UNANSWERED) sendTo(worker, { hub: 'check' })
      else {
        this.#options.logger.error({ worker: number, process: worker.process.pid }, 'a worker hangs, and is killed')
        worker.process.kill('SIGKILL')
      }
    }
  }

  #endIfDone(): void {
    if (this.#slots.some(({ worker }) => worker !== undefined)) return
    if (this.#failure === undefined) this.#end(this.#exitCode)
    else this.#fail(this.#failure)
  }

  #kill(): void {
    this.#exitCode = 1
    for (const { number, worker } of this.#slots) {
      if (worker === undefined) continue
      this.#options.logger.error({ worker: number }, 'a worker did not stop in time, and is killed')
      worker.process.kill('SIGKILL')
    }
  }
}

function sendTo(worker: Worker | undefined, message: PrimaryMessage): void {
  // A worker that dies meanwhile is noticed by its exit.
  if (worker?.isConnected()) worker.send(message, () => undefined)
}
