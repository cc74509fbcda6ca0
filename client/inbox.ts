import type { InboxEvent, InboxPage } from '../services/inbox/inbox-page.ts'
import type { EventMap, HubStream } from './hub-stream.ts'

export interface InboxQuery {
  /** Only older events: the `next` of the page before. */
  readonly before?: string | undefined
  /** Only newer events. */
  readonly after?: string | undefined
  /** The maximum number of events, 1 to 1,000. */
  readonly limit?: number | undefined
}

/** The inbox of a stream's user. */
export interface Inbox {
  /** How many events are unread; undefined before the hub has said so. */
  readonly unread: number | undefined
  /** The newest page, the newest event first, as it is now; empty before the first `list()`. */
  readonly events: readonly InboxEvent[]
  /** Reads a page. Without `before` and `after` it is the newest one, and `events` stays up to date from then on. */
  list(query?: InboxQuery): Promise<InboxPage>
  /** Marks the events up to an id as read; all events of the newest page without one. */
  markRead(upTo?: string): Promise<void>
  /** Adds a handler of every change, and returns a function that removes it. */
  onChange(handler: () => void): () => void
  /** Ends the updates. */
  close(): void
}

/** The inbox of a stream's user, which follows the stream. */
export function inboxOf<Events extends object = EventMap>(ofEvents: HubStream<Events>): Inbox {
  // The events of publishers do not matter here.
  const stream = ofEvents as unknown as HubStream
  const handlers = new Set<() => void>()
  let unread = stream.welcome?.unread
  let events: readonly InboxEvent[] = []
  let isListed = false
  let limit: number | undefined
  let isRefreshing = false
  let isStale = false

  const changed = (): void => {
    for (const handler of [...handlers]) handler()
  }

  const read = async ({ before, after, limit }: InboxQuery): Promise<InboxPage> => {
    const query = Object.entries({ before, after, limit }).flatMap(([name, value]) =>
      value === undefined ? [] : `${name}=${encodeURIComponent(value)}`
    )
    return (await stream.request('GET', `me/inbox?${query.join('&')}`)) as InboxPage
  }

  const show = (page: InboxPage): void => {
    events = page.events
    unread = page.unread
    changed()
  }

  /** One request at a time; the changes that come meanwhile lead to one more. Never rejects. */
  const refresh = async (): Promise<void> => {
    isStale = isListed
    if (isRefreshing) return
    isRefreshing = true
    try {
      while (isStale) {
        isStale = false
        show(await read({ limit }))
      }
    } catch {
      // The page stays as it was; the next event of the stream refreshes it.
    }
    isRefreshing = false
  }

  const count = (news: number | undefined): void => {
    if (news === undefined) return
    unread = news
    changed()
  }

  const removes = [
    stream.on('hub.welcome', ({ data }) => {
      count(data.unread)
      // Events may have been filed, read or retracted meanwhile.
      void refresh()
    }),
    stream.on('hub.unread', ({ data }) => {
      count(data.unread)
      void refresh()
    }),
    stream.on('hub.read', ({ data: { upTo, unread: news } }) => {
      const newest = events.findIndex(({ id }) => id === upTo)
      if (newest === -1) void refresh()
      else events = events.map((event, at) => (at < newest ? event : { ...event, isRead: true }))
      count(news)
    }),
    stream.on('hub.retract', ({ data }) => {
      events = events.filter(({ id }) => id !== data.id)
      changed()
    })
  ]

  return {
    get unread() {
      return unread
    },
    get events() {
      return events
    },
    async list(query = {}) {
      const page = await read(query)
      if (query.before === undefined && query.after === undefined) {
        isListed = true
        limit = query.limit
        show(page)
      }
      return page
    },
    async markRead(upTo = events[0]?.id) {
      if (upTo === undefined) return
      const { unread: news } = (await stream.request('POST', 'me/read', { upTo })) as { unread: number }
      count(news)
    },
    onChange(handler) {
      const own = (): void => handler()
      handlers.add(own)
      return () => {
        handlers.delete(own)
      }
    },
    close() {
      for (const remove of removes) remove()
      handlers.clear()
    }
  }
}
