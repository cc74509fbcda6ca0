import { performance } from 'node:perf_hooks'

/** Monotonic milliseconds since 1970, the same for all processes of a machine. */
export const now = () => performance.timeOrigin + performance.now()

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Maximal delay of a timer, in milliseconds: for the rest of a wait the event loop spins. */
const COARSE = 2

/** Waits until a moment, at least for one turn of the event loop. */
export async function until(moment) {
  const rest = moment - now()
  if (rest > COARSE) await sleep(rest - COARSE)
  do await new Promise(setImmediate)
  while (now() < moment)
}
