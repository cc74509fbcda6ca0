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

export interface StreamPresence {
  readonly id: string
  readonly since: string
  readonly topics: string[]
}

export interface UserPresence {
  readonly user: string
  readonly online: boolean
  readonly streams: StreamPresence[]
}

export interface OnlinePage {
  readonly users: { readonly user: string; readonly streams: number }[]
  readonly next: string | null
}

export interface Stats {
  readonly streams: number
  readonly users: number
  readonly cluster: { readonly streams: number; readonly users: number }
  readonly published: number
  readonly opened: number
  readonly closed: Record<string, number>
  readonly refused: Record<string, number>
  readonly log: {
    readonly kind: string
    readonly events: number
    readonly bytes: number
    readonly channels: number
    readonly head: number
  }
}

export interface Welcome {
  readonly stream?: string
  readonly user?: string | null
  readonly online?: { readonly users: number; readonly streams: number }
  readonly heartbeatInterval?: number
  readonly resumed?: boolean
  readonly replayed?: number
  readonly unread?: number
}
