import type { CursorStorage } from './cursor-storage.ts'
import { environment } from './environment.ts'
import { jsonOrText } from './hub-event.ts'
import { StreamError } from './stream-end.ts'

/** A position in the history of one user. */
export interface Position {
  readonly id?: string | undefined
  /** Null for a stream without a user; undefined where the hub has not named one yet. */
  readonly user?: string | null | undefined
}

export interface KeptCursor {
  load(): Position
  save(position: Position): void
}

/** Keeps the position of a stream over reloads of its page. A storage that fails is reported, and not used any more. */
export function keptCursor(
  { persist, user = '' }: { persist?: 'session' | CursorStorage | undefined; user?: string | undefined },
  { origin, pathname }: URL,
  onError: (error: StreamError) => void
): KeptCursor {
  let storage: CursorStorage | undefined
  let saved: string | undefined
  const key = `sse-hub ${origin}${pathname} ${user}`
  const use = (action: () => string | null | undefined): string => {
    try {
      // A page may not even have the right to name its storage.
      storage ??= persist === 'session' ? environment.sessionStorage : persist
      return action() ?? ''
    } catch (cause) {
      persist = storage = undefined
      onError(new StreamError('persist', String(cause), undefined, cause))
      return ''
    }
  }
  return {
    load() {
      // Another program may have written it.
      const { id, user } = (jsonOrText(use(() => storage?.getItem(key))) ?? {}) as Position
      return typeof id === 'string' ? { id, user } : {}
    },
    save(position) {
      if (!position.id || position.id === saved) return
      saved = position.id
      use(() => storage?.setItem(key, JSON.stringify(position)) as undefined)
    }
  }
}
