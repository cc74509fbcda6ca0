import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { LogInUseError } from '../../errors.ts'

type Open = typeof import('lmdb').open

const FILE = 'owner.mdb'
/** What LMDB makes for the lock, in the folder. */
export const OWNER_FILES = [FILE, `${FILE}-lock`]
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
  #reading: ReturnType<RootDatabase['useReadTransaction']> | undefined

  /** @throws {LogInUseError} if another process, or this one, has the folder open. */
  static async take(open: Open, folder: string): Promise<Ownership> {
    if (owned.has(folder)) throw new LogInUseError(folder)
    owned.add(folder)
    let ownership: Ownership | undefined
    try {
      const root = open({ path: join(folder, FILE), noSubdir: true, overlappingSync: false, noSync: true, maxDbs: 1 })
      ownership = new Ownership(folder, root)
      if (ownership.#isSingleNode()) return ownership
    } catch (error) {
      await (ownership?.release() ?? owned.delete(folder))
      throw error
    }
    await ownership.release()
    throw new LogInUseError(folder)
  }

  private constructor(folder: string, root: RootDatabase) {
    this.#folder = folder
    this.#root = root
  }

  async release(): Promise<void> {
    try {
      this.#reading?.done()
      await this.#root.close()
    } finally {
      owned.delete(this.#folder)
    }
  }

  #isSingleNode(): boolean {
    // First be seen, then look: of two that come at once, at least one sees the other.
    this.#reading = this.#root.useReadTransaction()
    this.#root.readerCheck()
    const readers = this.#root
      .readerList()
      .split('\n')
      .filter((line) => /^\s*\d+ /.test(line))
    return readers.length === 1
  }
}
