import { performance } from 'node:perf_hooks'

/** Milliseconds since the epoch that never jump, and that the processes of one machine agree about. */
export const now = () => performance.timeOrigin + performance.now()

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** A timer comes up to this late, in milliseconds: the rest of a wait is spent turning the loop. */
const COARSE = 2

/** Waits until a moment, and lets the event loop turn at least once. */
export async function until(moment) {
  const rest = moment - now()
  if (rest > COARSE) await sleep(rest - COARSE)
  do await new Promise(setImmediate)
  while (now() < moment)
}
