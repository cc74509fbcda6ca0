import type { HubStats } from '../services/hub/hub-stats.ts'
import type { WorkerPart } from '../services/worker-group.ts'

/** The counts of a node. */
export interface NodeStats extends HubStats {
  readonly states: object
  /** Live nodes, this one included. */
  readonly nodes: number
  /** The open connections, and their limit; null without one. */
  readonly connections: { readonly open: number; readonly max: number | null }
}

/** The counts of a server with several workers. */
export interface ServerStats extends NodeStats {
  /** The workers whose counts are in the sums. */
  readonly workers: readonly { readonly worker: number; readonly streams: number }[]
}

/**
 * The counts of several workers in one. `users` is an upper bound: a user with streams on two workers counts twice, but not beyond
 * the users of the cluster.
 */
export function serverStats(parts: readonly WorkerPart<NodeStats>[], maxConnections: number | null): ServerStats {
  const all = parts.map(({ value }) => value) as [NodeStats, ...NodeStats[]]
  const sum = all.reduce((before, stats) => add(before as never, stats as never) as never)
  const largest = (count: (stats: NodeStats) => number) => Math.max(...all.map(count))
  // The counts of other nodes are a second old.
  const streams = Math.max(
    sum.streams,
    largest(({ cluster }) => cluster.streams)
  )
  const users = largest(({ cluster }) => cluster.users)
  return {
    ...sum,
    users: Math.min(sum.users, users),
    cluster: { streams, users },
    // All workers have the same log, of which each removes a part, and know the same nodes.
    log: { ...all[0].log, removed: sum.log.removed },
    nodes: largest(({ nodes }) => nodes),
    connections: { open: sum.connections.open, max: maxConnections },
    workers: parts.map(({ worker, value: { streams } }) => ({ worker, streams }))
  }
}

type Counts = Readonly<Record<string, unknown>>

/** Adds numbers, in all depths; of other values, the first that is true. */
function add(one: Counts, other: Counts): Counts {
  return Object.fromEntries(
    Object.entries(one).map(([name, value]) => {
      const further = other[name]
      if (typeof value === 'number') return [name, value + Number(further ?? 0)]
      if (typeof value === 'object' && value !== null) return [name, add(value as Counts, (further ?? {}) as Counts)]
      return [name, value || further]
    })
  )
}
