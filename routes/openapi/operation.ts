import type { TSchema } from '@sinclair/typebox'

/** The caller of an operation: `any` needs no credentials, `holder` is a publisher or a subscriber. */
export type Caller = 'any' | 'publisher' | 'subscriber' | 'holder'

/** The response of an operation that succeeds. */
export interface Success {
  readonly description: string
  /** For a route that has no schema of its own for this status. Undefined for a response without a body. */
  readonly schema?: TSchema | undefined
  readonly mediaType?: string
  readonly example?: unknown
}

/** A request that a reader of the documentation can repeat. */
export interface Example {
  readonly params?: Record<string, string>
  readonly query?: Record<string, string | number | boolean>
  readonly body?: unknown
}

/** The documentation of a route beside its schemas. */
export interface Operation {
  readonly id: string
  readonly summary: string
  readonly description?: string
  readonly tag: string
  readonly caller: Caller
  readonly success: Record<number, Success>
  /** Codes of the errors that the operation itself has. */
  readonly errors: readonly string[]
  readonly example: Example
  /** Schemas of headers, and of parameters that not the route but the authentication reads. */
  readonly headers?: Record<string, TSchema>
  readonly query?: Record<string, TSchema>
  /** Whether the response is an event stream. */
  readonly isStream?: boolean
}
