import type { Target } from '../events/target.ts'

/** The action that a caller of the HTTP API requests. */
export type HubAction =
  | { readonly verb: 'publish'; readonly target: Target }
  | { readonly verb: 'close'; readonly user?: string; readonly stream?: string }
  | { readonly verb: 'read'; readonly user?: string; readonly topic?: string; readonly everyone?: true }
  | { readonly verb: 'metrics' }
