/** Time and chance, as one thing that is handed in: tests turn the hands themselves. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch: what an event's `time` and a stream's `expiresAt` are told in. */
  now(): number
  /** Milliseconds that never jump, whatever happens to the wall clock: what intervals are measured with. */
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
