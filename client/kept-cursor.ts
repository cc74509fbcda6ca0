import type { CursorStorage } from './cursor-storage.ts'
import { environment } from './environment.ts'
import { jsonOrText } from './hub-event.ts'
import { StreamError } from './stream-end.ts'

/** A position in the history of one user. */
export interface Position {
  id?: string | undefined
  /** Null for a stream without a user; undefined where the hub has not named one yet. */
  user?: string | null | undefined
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
  let saved: string | undefined
  const key = `sse-hub ${origin}${pathname} ${user}`
  const use = <Result>(action: (storage: CursorStorage) => Result): Result | undefined => {
    try {
      // A page may not even have the right to name its storage.
      const storage = persist === 'session' ? environment.sessionStorage : persist
      return storage && action(storage)
    } catch (cause) {
      persist = undefined
      onError(new StreamError('persist', cause))
    }
  }
  return {
    load() {
      // Another program may have written it.
      const { id, user } = (jsonOrText(use((storage) => storage.getItem(key)) ?? '') ?? {}) as Position
      return typeof id === 'string' ? { id, user } : {}
    },
    save(position) {
      const { id } = position
      if (!id || id === saved) return
      saved = id
      use((storage) => storage.setItem(key, JSON.stringify(position)))
    }
  }
}
