/** The reconnection time until the server has sent one, in milliseconds. */
const DEFAULT_RETRY = 1_000
/** The longest wait that failures lead to. */
const LONGEST_WAIT = 30_000
/** A stream that was open for so long ends the row of failures. */
const STABLE = 60_000
/** The longest wait that a server may ask for. */
const MAX_RETRY = 3_600_000

export interface BackOff {
  /** The reconnection time that the server sent. */
  retry: number
  /** The wait after a stream that was open for so many milliseconds, and after an answer that asked for `atLeast`. */
  next(openFor: number, atLeast?: number): number
}

/** How long to wait before the next attempt: the server's reconnection time, and full jitter on top after failures in a row. */
export function backOff(random: () => number): BackOff {
  let inARow = 0
  return {
    retry: DEFAULT_RETRY,
    next(openFor, atLeast = 0) {
      if (openFor >= STABLE) inARow = 0
      const longest = Math.min(LONGEST_WAIT, this.retry * 2 ** inARow++)
      const wait = this.retry + random() * Math.max(0, longest - this.retry)
      return Math.min(MAX_RETRY, Math.max(wait, atLeast))
    }
  }
}
