import { statfsSync } from 'node:fs'

/** Validity of a measurement in milliseconds, while writes fit into the measured space. */
const VALID_FOR = 100

/** The free space on the disk of a folder, without a measurement at each write. */
export class DiskSpace {
  readonly #folder: string
  readonly #now: () => number
  #left = 0
  #measuredAt = Number.NEGATIVE_INFINITY

  /** @param now monotonic time in milliseconds. */
  constructor(folder: string, now: () => number) {
    this.#folder = folder
    this.#now = now
  }

  /** Whether so many bytes are free, as far as can be known; counts them as taken. */
  take(bytes: number): boolean {
    const now = this.#now()
    if (this.#left < bytes || now - this.#measuredAt >= VALID_FOR) {
      this.#left = spaceOf(this.#folder)
      this.#measuredAt = now
    }
    if (this.#left < bytes) return false
    this.#left -= bytes
    return true
  }

  /** Whether the disk is known to have fewer bytes free. */
  isBelow(bytes: number): boolean {
    return spaceOf(this.#folder) < bytes
  }
}

function spaceOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    // The folder cannot be read: the write that fails reports why.
    return Number.POSITIVE_INFINITY
  }
}
