/** The source of time and timers. Tests pass one that they control. */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch, for `nextAttempt`. */
  now(): number
  /** Monotonic time in milliseconds, for ages. */
  monotonic(): number
  /** Calls `then` once after so many milliseconds, unless the returned function is called before. */
  after(milliseconds: number, then: () => void): () => void
}

/** Timers of JavaScript take little more: 2 ** 31 - 1 milliseconds. */
const LONGEST = 2_000_000_000

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, then) {
    const timer = setTimeout(then, Math.min(milliseconds, LONGEST))
    return () => clearTimeout(timer)
  }
}
