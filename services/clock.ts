/** The source of time, timers and randomness. Tests pass one that they control. */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch, as in an event's `time` and a stream's `expiresAt`. */
  now(): number
  /** Monotonic time in milliseconds, for intervals: it does not jump when the wall clock does. */
  monotonic(): number
  /** Calls `tick` every `interval` milliseconds until the returned function is called. Never keeps the process alive. */
  every(interval: number, tick: () => void): () => void
  /** A number from 0 up to but not including 1: spreads reconnections, so that clients do not return all at once. */
  random(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  every(interval, tick) {
    const timer = setInterval(tick, interval)
    timer.unref()
    return () => clearInterval(timer)
  },
  random: () => Math.random()
}
