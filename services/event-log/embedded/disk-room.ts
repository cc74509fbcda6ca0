import { statfsSync } from 'node:fs'

/** How long it is believed how much room there was, in milliseconds, while no more than that is written. */
const BELIEVED_FOR = 100

/** How much room the disk of a folder has left, without asking for it at each write. */
export class DiskSpace {
  readonly #folder: string
  readonly #now: () => number
  #left = 0
  #askedAt = Number.NEGATIVE_INFINITY

  /** @param now on the clock that never jumps. */
  constructor(folder: string, now: () => number) {
    this.#folder = folder
    this.#now = now
  }

  /** Whether there is room for so many bytes, as far as that can be known; counts them as taken. */
  take(bytes: number): boolean {
    const now = this.#now()
    if (this.#left < bytes || now - this.#askedAt >= BELIEVED_FOR) {
      this.#left = spaceOf(this.#folder)
      this.#askedAt = now
    }
    if (this.#left < bytes) return false
    this.#left -= bytes
    return true
  }

  /** Whether the disk is known to have less room left than this. */
  isBelow(bytes: number): boolean {
    return spaceOf(this.#folder) < bytes
  }
}

function spaceOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    // The folder cannot be looked into: a write that fails reports why.
    return Number.POSITIVE_INFINITY
  }
}
