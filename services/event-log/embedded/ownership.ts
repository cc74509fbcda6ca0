import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { LogInUseError } from '../../errors.ts'

type Open = typeof import('lmdb').open

const FILE = 'owner.mdb'
/** The files of the lock in the folder, made by LMDB. */
export const OWNER_FILES = [FILE, `${FILE}-lock`]
/** Folders that this process has open: LMDB would share one environment between them. */
const owned = new Set<string>()

/**
 * Ensures that a folder has one owner. A lock file would outlive a killed process; the reader table of LMDB does not: it holds
 * a lock of the operating system for each process, which ends with it. So the owner keeps a read transaction open in an
 * environment of its own, to which no process writes. A process that finds another reader there is not the owner.
 */
export class Ownership {
  readonly #folder: string
  readonly #root: RootDatabase
  /** Referenced, because a garbage-collected transaction leaves the reader table. */
  #reading: ReturnType<RootDatabase['useReadTransaction']> | undefined

  /** @throws {LogInUseError} if another process, or this one, has the folder open. */
  static async take(open: Open, folder: string): Promise<Ownership> {
    if (owned.has(folder)) throw new LogInUseError(folder)
    owned.add(folder)
    let ownership: Ownership | undefined
    try {
      const root = open({ path: join(folder, FILE), noSubdir: true, overlappingSync: false, noSync: true, maxDbs: 1 })
      ownership = new Ownership(folder, root)
      if (ownership.#isOnlyReader()) return ownership
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

  #isOnlyReader(): boolean {
    // Registers before it looks: of two simultaneous processes, at least one sees the other.
    this.#reading = this.#root.useReadTransaction()
    this.#root.readerCheck()
    const readers = this.#root
      .readerList()
      .split('\n')
      .filter((line) => /^\s*\d+ /.test(line))
    return readers.length === 1
  }
}
