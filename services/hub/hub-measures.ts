import type { LogStats } from '../event-log/event-log.ts'
import type { LatencyHistogram } from '../latency-histogram.ts'
import type { DeliveryCounts } from '../streams/delivery-counts.ts'
import type { StreamStates } from '../streams/stream-states.ts'
import type { AppendErrorCode } from './append-measures.ts'
import type { HubStats } from './hub-stats.ts'

/** Everything that metrics show of one node, read at once. Durations are in milliseconds. */
export interface HubMeasures {
  readonly stats: HubStats
  readonly isReady: boolean
  readonly states: StreamStates
  readonly deliveries: DeliveryCounts
  readonly deduplicated: number
  readonly appendErrors: Readonly<Record<AppendErrorCode, number>>
  readonly appendLatency: LatencyHistogram
  readonly writeLatency: LatencyHistogram
  /** How late the heartbeat timer was, at most, within the last half minute. */
  readonly heartbeatLag: number
  readonly log: LogStats
  /** The durations of commands of a log on another machine. */
  readonly roundTrips: LatencyHistogram | undefined
  readonly cluster: ClusterMeasures
}

export interface ClusterMeasures {
  /** Live nodes, this one included. */
  readonly nodes: number
  readonly isSettled: boolean
  /** The time since the lease of this node was renewed; 0 for a single node. */
  readonly leaseAge: number
}
