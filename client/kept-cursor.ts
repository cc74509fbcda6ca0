import { jsonOrText } from './hub-event.ts'

/** Where a cursor outlives its page: `sessionStorage`, or anything alike. */
export interface CursorStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

/** A position in the history of one user. */
export interface Position {
  readonly id?: string | undefined
  /** Null for a stream without a user; undefined where the hub has not named one yet. */
  readonly user?: string | null | undefined
}

/** The position in a text that a storage holds. Another program may have written it. */
export function positionIn(text: string | null): Position {
  const { id, user } = (jsonOrText(text ?? '') ?? {}) as Position
  return typeof id === 'string' ? { id, user } : {}
}
