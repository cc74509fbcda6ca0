import type { HubStats } from '../../services/hub/hub-stats.ts'
import type { StreamStates } from '../../services/streams/stream-states.ts'

export type { InspectedStream, OnlinePage } from '../../services/hub/presence.ts'

/** The bodies of requests and responses of the hub's HTTP API. */

export interface Draft {
  readonly event?: string
  /** Always text: the hub sends a string as it is, so that `1.10` and a large number stay what was typed. */
  readonly data: string
  readonly ttl?: number
  readonly collapseKey?: string
  readonly transient?: boolean
  readonly inbox?: boolean
  readonly final?: boolean
  readonly idempotencyKey?: string
}

export interface Receipt {
  readonly id: string | null
  readonly streams: number
}

export interface StoredEvent {
  readonly id: string
  readonly event: string
  readonly data: string
  readonly time: string
}

export interface History {
  readonly events: StoredEvent[]
  readonly complete: boolean
  readonly cursor: string
}

export interface Inbox {
  readonly events: (StoredEvent & { readonly isRead: boolean })[]
  readonly unread: number
  readonly readUpTo: string | null
  readonly next: string | null
}

/** The rights of the credentials in use, as `GET /access` answers. */
export interface Access {
  readonly publish: boolean
  readonly close: boolean
  readonly read: boolean
  readonly ticket: boolean
}

export interface Stats extends HubStats {
  readonly states: StreamStates
  readonly nodes: number
  readonly connections: { readonly open: number; readonly max: number | null }
}

/** Settings by name; an object is a group of settings. */
export type Settings = Readonly<Record<string, unknown>>

export interface Welcome {
  readonly stream?: string
  readonly user?: string | null
  readonly online?: { readonly users: number; readonly streams: number }
  readonly heartbeatInterval?: number
  readonly resumed?: boolean
  readonly replayed?: number
  readonly unread?: number
}
