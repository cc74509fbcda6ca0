import { type Stats, statSync } from 'node:fs'
import { join } from 'node:path'

interface Known {
  readonly name: string
  readonly path: string
  readonly is: Stats
}

/**
 * Compares the files of an open store with those that its folder shows. A file that was deleted can still be written to, and
 * all that is written is lost when the process ends.
 */
export class FolderWatch {
  readonly #files: readonly Known[]

  /** @param names of the files, the one with the data first. */
  constructor(folder: string, names: readonly string[]) {
    this.#files = names.map((name) => {
      const path = join(folder, name)
      return { name, path, is: statSync(path) }
    })
  }

  /**
   * What happened to the file with the data; undefined if it is still there. Costs a few microseconds.
   * @throws {Error} when the folder cannot be looked into.
   */
  get dataLoss(): string | undefined {
    return lossOf(this.#files[0] as Known)
  }

  /**
   * What happened to any of the files; undefined if all of them are still there.
   * @throws {Error} when the folder cannot be looked into.
   */
  get loss(): string | undefined {
    for (const file of this.#files) {
      const loss = lossOf(file)
      if (loss !== undefined) return loss
    }
    return undefined
  }
}

function lossOf({ name, path, is }: Known): string | undefined {
  const now = statSync(path, { throwIfNoEntry: false })
  if (now === undefined) return `${name} was deleted or moved`
  return now.ino === is.ino && now.dev === is.dev ? undefined : `${name} was replaced`
}
