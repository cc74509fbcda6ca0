import type { Target } from '../events/target.ts'

/** The action that a caller of the HTTP API requests. */
export type HubAction =
  | { readonly verb: 'publish'; readonly target: Target }
  | { readonly verb: 'close'; readonly user?: string; readonly stream?: string }
  | { readonly verb: 'read'; readonly user?: string; readonly topic?: string; readonly everyone?: true }
  | { readonly verb: 'metrics' }
  /** May the caller issue tickets for any user? Only `GET /access` asks; `issueTicket` decides about each ticket by itself. */
  | { readonly verb: 'ticket' }
