import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { LogInUseError } from '../../errors.ts'

type Open = typeof import('lmdb').open

const FILE = 'owner.mdb'
/** Folders that this process has open: to LMDB they would be one and the same. */
const owned = new Set<string>()

/**
 * That a folder has one owner. A file would outlive a process that was killed; the readers' table of LMDB does not: it holds
 * a lock of the operating system for each process, which ends with it. So the owner reads in an environment of its own, which
 * nobody ever writes to, and never stops reading. Who finds another reader there is the second.
 */
export class Ownership {
  readonly #folder: string
  readonly #root: RootDatabase
  /** Kept, for a transaction that is collected as garbage is no longer in the table. */
  readonly #reading: ReturnType<RootDatabase['useReadTransaction']>

  /** @throws {LogInUseError} if another process, or this one, has the folder open. */
  static take(open: Open, folder: string): Ownership {
    if (owned.has(folder)) throw new LogInUseError(folder)
    const root = open({ path: join(folder, FILE), noSubdir: true, overlappingSync: false, noSync: true, maxDbs: 1 })
    owned.add(folder)
    // First be seen, then look: of two that come at once, at least one sees the other.
    const ownership = new Ownership(folder, root)
    root.readerCheck()
    const readers = root
      .readerList()
      .split('\n')
      .filter((line) => /^\s*\d+ /.test(line))
    if (readers.length === 1) return ownership
    ownership.release().catch(() => {})
    throw new LogInUseError(folder)
  }

  private constructor(folder: string, root: RootDatabase) {
    this.#folder = folder
    this.#root = root
    this.#reading = root.useReadTransaction()
  }

  async release(): Promise<void> {
    this.#reading.done()
    await this.#root.close()
    owned.delete(this.#folder)
  }
}
