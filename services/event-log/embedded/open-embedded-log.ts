import { type Clock, systemClock } from '../../clock.ts'
import { InvalidOptionError } from '../../errors.ts'
import { checkClock, checkNames } from '../../option-checks.ts'
import type { EventLog, HealthCheck } from '../event-log.ts'
import { resolveIdempotencyWindow } from '../idempotency.ts'
import type { Retention } from '../retention.ts'
import { resolveRetention } from '../retention.ts'
import { EmbeddedLog } from './embedded-log.ts'
import { openStore } from './store.ts'
import type { StoreLogger } from './store-logger.ts'

export interface EmbeddedLogOptions {
  /** The folder of the log. It is created if it is missing; only one hub at a time can open it. */
  readonly path: string
  /**
   * When an append is complete. `sync`: once its events are on the disk, so that they survive a loss of power. The event loop
   * is not blocked; appends that arrive meanwhile share the next flush. Beyond 20,000 queued events, or 32 Mi characters,
   * appends are rejected with `SSE_HUB_ERR_LOG_UNAVAILABLE`. `process`: once the operating system has them, so that they
   * survive the end of the process, however it ends; they are flushed to the disk every second. A loss of power loses
   * unflushed events and may damage the store: a damaged store is rejected at the next start, not read.
   * @default 'sync'
   */
  readonly durability?: 'sync' | 'process' | undefined
  /**
   * Bounds of the history, as for the memory log; bytes are counted on the disk.
   * @default that of the memory log
   */
  readonly retention?: Partial<Retention> | undefined
  /**
   * How long an idempotency key is remembered, in milliseconds, also over restarts.
   * @default 300_000
   */
  readonly idempotencyWindow?: number | undefined
  /**
   * Source of time and randomness.
   * @default the system's
   */
  readonly clock?: Clock | undefined
  /**
   * Reports a lost folder, and changed modes of its files: a logger with pino's interface.
   * @default warnings of the process
   */
  readonly logger?: StoreLogger | undefined
}

const NAMES = ['path', 'durability', 'retention', 'idempotencyWindow', 'clock', 'logger']

const PROCESS_WARNINGS: StoreLogger = {
  warn: (_details, message) => process.emitWarning(message, 'FastifySseHubWarning'),
  error: (details, message) => {
    const { err } = details as { err?: Error }
    process.emitWarning(`${message}: ${err?.message}`, 'FastifySseHubWarning')
  }
}

/**
 * Opens the event log in a folder of this machine, or creates one: history that survives the process. For one hub, with the
 * option `log: await embeddedLog({ path })`; the hub closes it.
 * @throws {InvalidOptionError} naming the option.
 * @throws {MissingPackageError} when the package `lmdb` is not installed.
 * @throws {LogInUseError} when another hub has the folder open.
 * @throws {LogStoreError} when the content of the folder cannot be read; the content is not changed.
 */
export async function embeddedLog(options: EmbeddedLogOptions): Promise<EventLog & HealthCheck> {
  checkNames('', options, NAMES)
  const {
    path,
    durability = 'sync',
    retention: bounds,
    idempotencyWindow: window,
    clock = systemClock,
    logger = PROCESS_WARNINGS
  } = options
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new InvalidOptionError('path', 'is the path of a folder')
  if (durability !== 'sync' && durability !== 'process')
    throw new InvalidOptionError('durability', 'is "sync" or "process"')
  if (typeof logger?.warn !== 'function' || typeof logger.error !== 'function')
    throw new InvalidOptionError('logger', 'is a logger: warn and error')
  checkClock(clock)
  const retention = resolveRetention(bounds ?? {})
  const idempotencyWindow = resolveIdempotencyWindow(window)
  const store = await openStore(path, durability, clock, logger)
  try {
    return new EmbeddedLog({ store, durability, retention, idempotencyWindow, clock, logger })
  } catch (error) {
    await store.close()
    throw error
  }
}
