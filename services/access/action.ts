import type { Target } from '../events/target.ts'

/** What a caller of the HTTP API is about to do. */
export type HubAction =
  | { readonly verb: 'publish'; readonly target: Target }
  | { readonly verb: 'close'; readonly user?: string; readonly stream?: string }
  | { readonly verb: 'read'; readonly user?: string }
