/** The reconnection time until the server has sent one, in milliseconds. */
const DEFAULT_RETRY = 1_000
/** The longest wait that failures lead to. */
const LONGEST_WAIT = 30_000
/** A stream that was open for so long ends the row of failures. */
const STABLE = 60_000
/** The longest wait that a server may ask for. */
const MAX_RETRY = 3_600_000

/**
 * The wait after a stream that was open for so many milliseconds, in milliseconds.
 * @param retry the reconnection time that the server sent
 * @param atLeast the wait that an answer asked for
 */
export type BackOff = (openFor: number, retry?: number, atLeast?: number) => number

/** How long to wait before the next attempt: the server's reconnection time, and full jitter on top after failures in a row. */
export function backOff(random: () => number): BackOff {
  let inARow = 0
  return (openFor, retry = DEFAULT_RETRY, atLeast = 0) => {
    if (openFor >= STABLE) inARow = 0
    const longest = Math.min(LONGEST_WAIT, retry * 2 ** inARow++)
    const jittered = retry + random() * (longest - retry)
    return Math.min(MAX_RETRY, Math.max(retry, jittered, atLeast))
  }
}
