import type { Clock } from '../../clock.ts'
import type { RedisLink } from '../../redis/link.ts'
import { SWEEP } from './cluster-scripts.ts'

interface ClusterKeys {
  readonly link: RedisLink
  readonly key: string
  readonly clock: Clock
}

/** How long the users of a node may be without a stream before they are offline, in milliseconds. */
type Grace = number

/** Max. number of users of a dead node that one script, which blocks Redis, deletes; and max. number of scripts at a time. */
const MAX_USERS = 500
const SWEEPS = 20

/** Deletes the keys of a dead node; the rest is left to the next refresh of any node. */
export async function sweepNode({ link, key }: ClusterKeys, me: string, dead: string, grace: Grace): Promise<void> {
  for (let turn = 0; turn < SWEEPS; turn++) {
    if ((await link.run(SWEEP, key, [me, dead, String(MAX_USERS), String(grace)])) === 0) return
  }
}

/** Ends the leases of a node's names, and deletes their keys, for `within` milliseconds at most. */
export async function announceLeave(
  { link, key, clock }: ClusterKeys,
  names: readonly string[],
  grace: Grace,
  within: number
): Promise<void> {
  const until = clock.monotonic() + within
  for (const name of new Set(names)) {
    while (clock.monotonic() < until) {
      if ((await link.run(SWEEP, key, [name, name, String(MAX_USERS), String(grace)])) === 0) break
    }
  }
}
