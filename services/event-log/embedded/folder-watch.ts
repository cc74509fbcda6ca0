import { type Stats, statSync } from 'node:fs'
import { join } from 'node:path'

interface Known {
  readonly name: string
  readonly path: string
  readonly is: Stats
}

/**
 * Compares the files of an open store with those in its folder. A deleted file can still be written to, but its content is
 * lost when the process ends.
 */
export class FolderWatch {
  readonly #files: readonly Known[]

  /** @param names the files, the one with the data first. */
  constructor(folder: string, names: readonly string[]) {
    this.#files = names.map((name) => {
      const path = join(folder, name)
      return { name, path, is: statSync(path) }
    })
  }

  /**
   * The reason why the file with the data is lost; undefined if it is still there. Costs a few microseconds.
   * @throws {Error} when the folder cannot be read.
   */
  get dataLoss(): string | undefined {
    return lossOf(this.#files[0] as Known)
  }

  /**
   * The reason why any of the files is lost; undefined if all of them are still there.
   * @throws {Error} when the folder cannot be read.
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
