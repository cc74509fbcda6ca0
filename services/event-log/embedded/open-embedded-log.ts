import { type Clock, systemClock } from '../../clock.ts'
import { InvalidOptionError } from '../../errors.ts'
import { checkClock } from '../../option-checks.ts'
import type { EventLog, HealthCheck } from '../event-log.ts'
import { resolveIdempotencyWindow } from '../idempotency.ts'
import type { Retention } from '../retention.ts'
import { resolveRetention } from '../retention.ts'
import { EmbeddedLog } from './embedded-log.ts'
import { openStore } from './store.ts'
import type { StoreLogger } from './store-logger.ts'

export interface EmbeddedLogOptions {
  /** The folder that the log is in. It is made if there is none; one hub at a time may have it open. */
  readonly path: string
  /**
   * What an append waits for. `sync`: until its events are on the disk, so that they outlive a loss of power. The event loop
   * does not wait; appends that come meanwhile share the next wait. More than 20,000 events, or 32 Mi characters, that wait are
   * refused with `SSE_HUB_ERR_LOG_UNAVAILABLE`. `process`: until they are with the operating system, so that they outlive the
   * process, however it ends; they are brought to the disk every second. A loss of power takes what was not, and may damage
   * the store: then it is refused at the next start, not read.
   * @default 'sync'
   */
  readonly durability?: 'sync' | 'process' | undefined
  /**
   * What is kept, as for the memory log; bytes are told as they lie on the disk.
   * @default that of the memory log
   */
  readonly retention?: Partial<Retention> | undefined
  /**
   * How long an idempotency key is remembered, in milliseconds, over restarts, too.
   * @default 300_000
   */
  readonly idempotencyWindow?: number | undefined
  /**
   * Time and chance.
   * @default the system's
   */
  readonly clock?: Clock | undefined
  /**
   * Reports that the folder was lost, and modes of its files that were changed: a logger of pino's kind.
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
 * Opens the event log in a folder of this machine, or begins one there: history that outlives the process. For one hub; it is
 * told `log: await embeddedLog({ path })`, and closes it.
 * @throws {InvalidOptionError} naming the option.
 * @throws {MissingPackageError} when the package `lmdb` is not installed.
 * @throws {LogInUseError} when another hub has the folder open.
 * @throws {LogStoreError} when what is in the folder cannot be read; it is left as it is.
 */
export async function embeddedLog(options: EmbeddedLogOptions): Promise<EventLog & HealthCheck> {
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name))
  if (unknown !== undefined) throw new InvalidOptionError(unknown, `is none; there are ${NAMES.join(', ')}`)
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
