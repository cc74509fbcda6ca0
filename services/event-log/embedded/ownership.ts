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

  /** @throws {LogInUseError} if another process, or this one, has the folder open. */
  static take(open: Open, folder: string): Ownership {
    if (owned.has(folder)) throw new LogInUseError(folder)
    const root = open({ path: join(folder, FILE), noSubdir: true, overlappingSync: false, noSync: true, maxDbs: 1 })
    owned.add(folder)
    const ownership = new Ownership(folder, root)
    // First be seen, then look: of two that come at once, at least one sees the other.
    root.useReadTransaction()
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
  }

  async release(): Promise<void> {
    await this.#root.close()
    owned.delete(this.#folder)
  }
}
