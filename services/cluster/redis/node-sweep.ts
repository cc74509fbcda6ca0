import type { Clock } from '../../clock.ts'
import type { RedisLink } from '../../redis/link.ts'
import { SWEEP } from './cluster-scripts.ts'

interface Place {
  readonly link: RedisLink
  readonly key: string
  readonly clock: Clock
}

/** How many users of a dead node are swept up by one script, which blocks Redis for everybody, and how often at a time. */
const MOST = 500
const SWEEPS = 20

/** Sweeps up what a dead node has left; what remains is for the next look, of whatever node. */
export async function sweepNode({ link, key }: Place, me: string, dead: string): Promise<void> {
  for (let turn = 0; turn < SWEEPS; turn++) {
    if ((await link.run(SWEEP, key, [me, dead, String(MOST)])) === 0) return
  }
}

/** Makes a node's names count for nothing, and sweeps up what it has written under them, for so many milliseconds at most. */
export async function announceLeave(
  { link, key, clock }: Place,
  names: readonly string[],
  within: number
): Promise<void> {
  const until = clock.monotonic() + within
  for (const name of new Set(names)) {
    while (clock.monotonic() < until) {
      if ((await link.run(SWEEP, key, [name, name, String(MOST)])) === 0) break
    }
  }
}
