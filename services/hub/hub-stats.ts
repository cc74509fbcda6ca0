import type { EventLog } from '../event-log/event-log.ts'
import type { StreamRejection } from '../streams/admission.ts'
import type { Closed } from '../streams/stream-manager.ts'
import type { Refused } from './refusals.ts'

export interface HubStats {
  /** Open streams of this node. */
  readonly streams: number
  /** Users who have an open stream on this node. */
  readonly users: number
  /** Open streams of all nodes, and users who have one. Other nodes count as of about a second ago; zero while they cannot be reached. */
  readonly cluster: { readonly streams: number; readonly users: number }
  /** Events that this node has accepted since it was started. */
  readonly published: number
  /** Streams that this node has opened since then. */
  readonly opened: number
  /** Streams that this node has closed since then, by reason. */
  readonly closed: Closed
  /** Requests, connections and streams that this node has refused since then, by reason. */
  readonly refused: Refused & Record<StreamRejection, number>
  readonly log: ReturnType<EventLog['stats']>
}
