import type { InboxEvent } from '../services/inbox/inbox-page.ts'
import type { HubStream } from './hub-stream.ts'
import { type Inbox, inboxOf } from './inbox.ts'

/** The inbox of the user, as components show it. */
export interface InboxView extends Pick<Inbox, 'list' | 'markRead'> {
  readonly unread: number | undefined
  readonly events: readonly InboxEvent[]
  /** Why the newest page could not be read. */
  readonly error: unknown
}

export interface InboxStore {
  readonly view: InboxView
  /** Adds a handler of every change, and returns a function that removes it. */
  onChange(handler: () => void): () => void
}

const stores = new WeakMap<object, InboxStore>()

/** The one store of a stream, for all its components. It reads the newest page at once. */
export function inboxStoreOf<Events extends object>(stream: HubStream<Events>): InboxStore {
  const existing = stores.get(stream)
  if (existing !== undefined) return existing
  const inbox = inboxOf(stream)
  const { list, markRead } = inbox
  const look = (error?: unknown): InboxView => ({ unread: inbox.unread, events: inbox.events, error, list, markRead })
  let view = look()
  const handlers = new Set<() => void>()
  const changed = (error?: unknown): void => {
    view = look(error)
    for (const handler of [...handlers]) handler()
  }
  inbox.onChange(() => changed())
  inbox.list().catch(changed)
  const store: InboxStore = {
    get view() {
      return view
    },
    onChange(handler) {
      handlers.add(handler)
      return () => {
        handlers.delete(handler)
      }
    }
  }
  stores.set(stream, store)
  return store
}
