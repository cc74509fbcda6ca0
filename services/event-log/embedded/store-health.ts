import type { Clock } from '../../clock.ts'
import { LogFullError, LogLostError, LogUnavailableError } from '../../errors.ts'
import type { NewEvent } from '../../events/log-event.ts'
import { textOf } from './append-queue.ts'
import { DiskSpace } from './disk-room.ts'
import type { Store } from './store.ts'
import type { StoreLogger } from './store-logger.ts'
import { isStored, readState, type State, type Tables } from './tables.ts'

/** With less space than this on the disk, a write that fails counts as failed for lack of space. */
const ROOM = 4_194_304
/** The most that a write takes on the disk, besides its texts and events: pages are written anew, and never in place. */
const MIN_SPACE = 65_536
const BYTES_OF_UNIT = 3
const BYTES_OF_EVENT = 1_024

/** Whether the store can be written: whether its last write failed, and whether its content is lost. */
export class StoreHealth {
  /** The last write failed, or the folder could not be read. Maintenance and readiness checks retry. */
  isFailing = false
  readonly #store: Store
  readonly #space: DiskSpace
  readonly #logger: StoreLogger
  #failure: Error | undefined

  constructor(store: Store, clock: Clock, logger: StoreLogger) {
    this.#store = store
    this.#space = new DiskSpace(store.folder, () => clock.monotonic())
    this.#logger = logger
  }

  /** Content is lost, or may be: the log accepts nothing until a restart. */
  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** @throws {LogLostError | LogFullError | LogUnavailableError} if these appends must not be written. */
  checkWritable(appends: readonly { readonly events: readonly NewEvent[] }[]): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#checkLoss(this.#store.watch.dataLoss)
    this.#checkSpace(appends)
  }

  /**
   * Checks that the stored state is the one that this hub stored last. Otherwise another hub writes to the same store.
   * @throws {LogLostError}
   */
  checkOwner(tables: Tables, state: State): void {
    if (isStored(tables, state)) return
    const isOwn = readState(tables)?.owner === state.owner
    this.#checkLoss(isOwn ? 'a write that the disk reported as failed is there' : 'another hub writes to it')
  }

  /**
   * Whether the folder still shows the open files, and no other hub writes to it.
   * @param committed the committed state, undefined while a write is in progress.
   */
  isIntact(committed: State | undefined): boolean {
    try {
      this.#checkLoss(this.#store.watch.loss)
      if (committed !== undefined) this.checkOwner(this.#store.tables, committed)
      return true
    } catch (error) {
      // A folder that cannot be read now may come back.
      if (this.#failure === undefined && !this.isFailing)
        this.#logger.error({ err: error, folder: this.#store.folder }, 'the folder of the event log cannot be read')
      this.isFailing = true
      return false
    }
  }

  /**
   * Flushes the store. A flush that fails leaves the content of the disk unknown: it is not retried, and the log accepts
   * nothing more.
   * @throws {LogUnavailableError}
   */
  async flush(): Promise<void> {
    try {
      await this.#store.flush()
    } catch (error) {
      this.#failure = new LogUnavailableError(
        `it could not be flushed to the disk (${(error as Error).message}); the newest events may or may not be stored, and the hub has to be restarted`
      )
      throw this.#failure
    }
  }

  /** The error with which the appends of a failed write are rejected. */
  failureOf(error: Error): Error {
    if ([LogUnavailableError, LogLostError, LogFullError].some((known) => error instanceof known)) {
      this.isFailing ||= error instanceof LogFullError
      return error
    }
    const { code } = error as { code?: unknown }
    const isFull = code === 28 || code === 122 || /MAP_FULL|ENOSPC/.test(error.message)
    if (isFull || this.#space.isBelow(ROOM)) return new LogFullError(error.message)
    return new LogUnavailableError(error.message)
  }

  /**
   * A write that fails for lack of space must not reach LMDB: its message about it is longer than the memory that LMDB
   * allocates for it, which can end the process.
   * @throws {LogFullError}
   */
  #checkSpace(appends: readonly { readonly events: readonly NewEvent[] }[]): void {
    const needed = appends.reduce(
      (sum, { events }) => sum + BYTES_OF_UNIT * textOf(events) + BYTES_OF_EVENT * events.length,
      MIN_SPACE
    )
    if (appends.length > 0 && !this.#space.take(needed))
      throw new LogFullError(`the disk of ${this.#store.folder} has less than ${needed} bytes left`)
  }

  /** @throws {LogLostError} after which the log accepts nothing. */
  #checkLoss(loss: string | undefined): void {
    if (loss === undefined) return
    const { folder } = this.#store
    if (this.#failure === undefined) {
      this.#failure = new LogLostError(folder, loss)
      this.#logger.error(
        { err: this.#failure, folder },
        'the event log is lost; the hub publishes nothing until a restart'
      )
    }
    throw this.#failure
  }
}
