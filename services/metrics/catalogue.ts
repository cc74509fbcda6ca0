import { each, type HubMetric, one, seconds } from './metric.ts'

/** Counts of webhooks, which a hub without webhooks has not. */
interface WebhookCounts {
  readonly queued: number
  readonly delivered: number
  readonly failed: number
  readonly dropped: number
}

type WithWebhooks = { readonly webhooks?: WebhookCounts }

const STREAMS: readonly HubMetric[] = [
  {
    ...{ name: 'sse_hub_streams', type: 'gauge', labels: ['state'] },
    help: 'Open streams of this node, by state: replaying, live or backpressured',
    read: ({ states: { pending: _, ...states } }) => each('state', states)
  },
  {
    ...{ name: 'sse_hub_streams_pending', type: 'gauge' },
    help: 'Streams of this node with events that are about to be written',
    read: ({ states }) => one(states.pending)
  },
  {
    ...{ name: 'sse_hub_users', type: 'gauge' },
    help: 'Users who have an open stream on this node',
    read: ({ stats }) => one(stats.users)
  },
  {
    ...{ name: 'sse_hub_streams_opened_total', type: 'counter' },
    help: 'Streams that this node has opened',
    read: ({ stats }) => one(stats.opened)
  },
  {
    ...{ name: 'sse_hub_streams_closed_total', type: 'counter', labels: ['reason'] },
    help: 'Streams that this node has closed, by close reason; cut is kicked with a request to reconnect',
    read: ({ stats }) => each('reason', stats.closed)
  },
  {
    ...{ name: 'sse_hub_refused_total', type: 'counter', labels: ['reason'] },
    help: 'Requests, connections and streams that this node has refused, by reason',
    read: ({ stats }) => each('reason', stats.refused)
  },
  {
    ...{ name: 'sse_hub_heartbeat_lag_seconds', type: 'gauge' },
    help: 'How late the heartbeat timer was, at most, within the last half minute',
    read: ({ heartbeatLag }) => one(seconds(heartbeatLag))
  }
]

const EVENTS: readonly HubMetric[] = [
  {
    ...{ name: 'sse_hub_events_published_total', type: 'counter' },
    help: 'Events that this node has accepted',
    read: ({ stats }) => one(stats.published)
  },
  {
    ...{ name: 'sse_hub_events_deduplicated_total', type: 'counter' },
    help: 'Accepted events whose idempotency key was known, and that were not published again',
    read: ({ deduplicated }) => one(deduplicated)
  },
  {
    ...{ name: 'sse_hub_events_delivered_total', type: 'counter' },
    help: 'Events that this node has written to live streams; each stream counts',
    read: ({ deliveries }) => one(deliveries.delivered)
  },
  {
    ...{ name: 'sse_hub_events_replayed_total', type: 'counter' },
    help: 'Events that this node has read from the log for streams that were not live',
    read: ({ deliveries }) => one(deliveries.replayed)
  },
  {
    ...{ name: 'sse_hub_written_bytes_total', type: 'counter' },
    help: 'Bytes that this node has written to streams',
    read: ({ deliveries }) => one(deliveries.bytes)
  },
  {
    ...{ name: 'sse_hub_gaps_total', type: 'counter', labels: ['reason'] },
    help: 'Reports of missing history to streams (hub.gap), by reason',
    read: ({ deliveries }) => each('reason', deliveries.gaps)
  },
  {
    ...{ name: 'sse_hub_discontinuities_total', type: 'counter' },
    help: 'How often this node has lost its place in the log, so that all streams replay',
    read: ({ deliveries }) => one(deliveries.discontinuities)
  },
  {
    ...{ name: 'sse_hub_append_seconds', type: 'histogram' },
    help: 'Duration of appends to the log',
    read: ({ appendLatency }) => appendLatency
  },
  {
    ...{ name: 'sse_hub_write_seconds', type: 'histogram' },
    help: 'Time from the append of events to their write to the last live stream of this node',
    read: ({ writeLatency }) => writeLatency
  }
]

const STATE: readonly HubMetric[] = [
  {
    ...{ name: 'sse_hub_ready', type: 'gauge' },
    help: 'Whether this node accepts events and streams: 1 or 0',
    read: ({ isReady }) => one(isReady)
  },
  {
    ...{ name: 'sse_hub_log_info', type: 'gauge', labels: ['kind'] },
    help: 'The kind of log: memory, embedded or redis',
    read: ({ log }) => [{ value: 1, labels: { kind: log.kind } }]
  },
  {
    ...{ name: 'sse_hub_log_events', type: 'gauge' },
    help: 'Events that the log retains; of a log in Redis, the same on all nodes',
    read: ({ log }) => one(log.events)
  },
  {
    ...{ name: 'sse_hub_log_bytes', type: 'gauge' },
    help: 'Bytes that the log retains',
    read: ({ log }) => one(log.bytes)
  },
  {
    ...{ name: 'sse_hub_log_channels', type: 'gauge' },
    help: 'Channels (users, topics, inboxes) with retained events',
    read: ({ log }) => one(log.channels)
  },
  {
    ...{ name: 'sse_hub_log_head', type: 'gauge' },
    help: 'The number of the newest event of the log',
    read: ({ log }) => one(log.head)
  },
  {
    ...{ name: 'sse_hub_log_evicted_total', type: 'counter' },
    help: 'Events that this node has evicted by retention: too many, too large or too old; each channel counts',
    read: ({ log }) => one(log.removed?.evicted)
  },
  {
    ...{ name: 'sse_hub_log_expired_total', type: 'counter' },
    help: 'Events past their ttl that this node has removed; each channel counts',
    read: ({ log }) => one(log.removed?.expired)
  },
  {
    ...{ name: 'sse_hub_log_removed_events', type: 'gauge' },
    help: 'Events of the log that are no longer retained: evicted, expired, collapsed or retracted',
    read: ({ log }) => one(Math.max(0, log.head - log.events))
  },
  {
    ...{ name: 'sse_hub_append_errors_total', type: 'counter', labels: ['code'] },
    help: 'Appends that the log has refused, by error code',
    read: ({ appendErrors }) => each('code', appendErrors)
  },
  {
    ...{ name: 'sse_hub_read_errors_total', type: 'counter' },
    help: 'Reads of the log for streams that have failed',
    read: ({ deliveries }) => one(deliveries.readErrors)
  }
]

const CLUSTER: readonly HubMetric[] = [
  {
    ...{ name: 'sse_hub_cluster_streams', type: 'gauge' },
    help: 'Open streams of all nodes, as this node knows them: do not add up over nodes',
    read: ({ stats }) => one(stats.cluster.streams)
  },
  {
    ...{ name: 'sse_hub_cluster_users', type: 'gauge' },
    help: 'Users who have an open stream on any node: do not add up over nodes',
    read: ({ stats }) => one(stats.cluster.users)
  },
  {
    ...{ name: 'sse_hub_cluster_nodes', type: 'gauge' },
    help: 'Live nodes, this one included',
    read: ({ cluster }) => one(cluster.nodes)
  },
  {
    ...{ name: 'sse_hub_cluster_settled', type: 'gauge' },
    help: 'Whether this node knows all live nodes: 1 or 0',
    read: ({ cluster }) => one(cluster.isSettled)
  },
  {
    ...{ name: 'sse_hub_cluster_lease_age_seconds', type: 'gauge' },
    help: 'Time since the lease of this node was renewed',
    read: ({ cluster }) => one(seconds(cluster.leaseAge))
  },
  {
    ...{ name: 'sse_hub_redis_up', type: 'gauge' },
    help: 'Whether the connection to Redis is up: 1 or 0; only with a log in Redis',
    read: ({ log }) => one(log.connection?.isUp)
  },
  {
    ...{ name: 'sse_hub_redis_round_trip_seconds', type: 'histogram' },
    help: 'Duration of commands to Redis; only with a log in Redis',
    read: ({ roundTrips }) => roundTrips
  }
]

const webhooks = (count: keyof WebhookCounts) => {
  const read: Extract<HubMetric, { type: 'gauge' | 'counter' }>['read'] = ({ stats }) =>
    one((stats as WithWebhooks).webhooks?.[count])
  return read
}

const WEBHOOKS: readonly HubMetric[] = [
  {
    ...{ name: 'sse_hub_webhooks_queued', type: 'gauge', read: webhooks('queued') },
    help: 'Webhooks that wait, on the node that delivers them; only with webhooks'
  },
  {
    ...{ name: 'sse_hub_webhooks_delivered_total', type: 'counter', read: webhooks('delivered') },
    help: 'Attempts to deliver a webhook that have succeeded'
  },
  {
    ...{ name: 'sse_hub_webhooks_failed_total', type: 'counter', read: webhooks('failed') },
    help: 'Attempts to deliver a webhook that have failed'
  },
  {
    ...{ name: 'sse_hub_webhooks_dropped_total', type: 'counter', read: webhooks('dropped') },
    help: 'Webhooks that were given up'
  }
]

/** All metrics of a hub. */
export const METRICS: readonly HubMetric[] = [...STREAMS, ...EVENTS, ...STATE, ...CLUSTER, ...WEBHOOKS]
