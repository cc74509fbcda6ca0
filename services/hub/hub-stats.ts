import type { EventLog } from '../event-log/event-log.ts'
import type { StreamRejection } from '../streams/admission.ts'
import type { Closed } from '../streams/stream-manager.ts'
import type { Refused } from './refusals.ts'

export interface HubStats {
  /** Open streams of this node. */
  readonly streams: number
  /** Users who have an open stream on this node. */
  readonly users: number
  /**
   * Open streams of all nodes, and users who have one. The counts of other nodes are about a second old, and zero while those
   * cannot be reached.
   */
  readonly cluster: { readonly streams: number; readonly users: number }
  /** Events that this node has accepted since its start. */
  readonly published: number
  /** Streams that this node has opened since its start. */
  readonly opened: number
  /** Streams that this node has closed since its start, by reason. */
  readonly closed: Closed
  /** Requests, connections and streams that this node has refused since its start, by reason. */
  readonly refused: Refused & Record<StreamRejection, number>
  readonly log: ReturnType<EventLog['stats']>
}
