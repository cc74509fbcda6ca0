import { type BrokenLog, changeDispatched, Store } from './broken-log.ts'

export const RETAINING: readonly BrokenLog[] = [
  {
    fault: 'retains one event more than its bound',
    caughtBy: 'keeps the newest events of each channel, as many as its kind may have',
    spoil({ store }) {
      store.bound = (channel) => {
        const { retention } = store.bounds
        const count =
          channel === 'everyone' ? retention.everyone : channel.startsWith('u:') ? retention.user : retention.topic
        while (store.retained(channel).length > count + 1) store.evictOldest(channel)
      }
    }
  },
  {
    fault: 'never reports an eviction',
    caughtBy: 'reports a gap to readers that miss an evicted event, and to no others',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        return page.gap === 'evicted' ? { ...page, gap: undefined } : page
      }
    }
  },
  {
    fault: 'reports a gap to a reader whose last event was the last evicted one',
    caughtBy: 'reports a gap to readers that miss an evicted event, and to no others',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        const { from } = query
        const isLast = typeof from === 'object' && 'seq' in from && page.evicted === from.seq && from.seq > 0
        return isLast ? { ...page, gap: page.gap ?? 'evicted' } : page
      }
    }
  },
  {
    fault: 'reports the lowest of the numbers evicted from several channels',
    caughtBy: 'says which number was the last to be evicted from the channels of a reader',
    spoil({ store }) {
      store.evicted = (channels) => Math.min(...channels.map((channel) => Store.evicted.call(store, [channel])))
    }
  },
  {
    fault: 'reports a gap to a reader that begins with the oldest event',
    caughtBy: 'reports no gap to a reader that begins with the oldest, the newest or the next event',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        return page.evicted > 0 && query.from === 'oldest' ? { ...page, gap: 'evicted' } : page
      }
    }
  },
  {
    fault: 'reports no gap of any kind',
    caughtBy: 'reports a gap to a reader that is overtaken between two pages',
    spoil({ store }) {
      store.read = (query) => ({ ...Store.read.call(store, query), gap: undefined })
    }
  },
  {
    fault: 'evicts an event from all its channels when one evicts it',
    caughtBy: 'lets an event that one channel evicts stay in the others',
    spoil({ store }) {
      store.evictOldest = (channel) => {
        const oldest = store.retained(channel)[0]
        for (const of of oldest?.draft.channels ?? []) oldest?.fates.set(of, 'evicted')
      }
    }
  },
  {
    fault: 'bounds the number of events over all channels',
    caughtBy: 'evicts nothing from a channel, however much another is given',
    spoil({ store }) {
      store.bound = (channel) => {
        Store.bound.call(store, channel)
        while (store.allRetained().length > 4) {
          const oldest = store.allRetained()[0]
          for (const of of oldest?.draft.channels ?? []) oldest?.fates.set(of, 'evicted')
        }
      }
    }
  },
  {
    fault: 'treats a bound of 0 as unbounded',
    caughtBy: 'keeps nothing of a kind that may have nothing, and says so',
    spoil({ store }) {
      store.bound = (channel) => {
        if (store.bounds.retention.user > 0) Store.bound.call(store, channel)
      }
    }
  },
  {
    fault: 'treats a collapsed event as evicted',
    caughtBy: 'replaces the event of a collapse key by the newest, which is no gap',
    spoil({ store }) {
      store.collapse = (channel, { collapseKey }) => {
        const same = store.retained(channel).filter(({ draft }) => draft.collapseKey === collapseKey)
        if (collapseKey !== undefined) for (const { fates } of same) fates.set(channel, 'evicted')
      }
    }
  },
  {
    fault: 'does not recognise a cursor whose event was collapsed',
    caughtBy: 'resumes after an event that was collapsed',
    spoil({ store }) {
      store.recognise = (from) => {
        const entry = typeof from === 'object' && 'seq' in from ? store.state.entries[from.seq - 1] : undefined
        const isCollapsed = [...(entry?.fates.values() ?? [])].includes('collapsed')
        return isCollapsed ? { after: 0, gap: 'diverged' } : Store.recognise.call(store, from)
      }
    }
  },
  {
    fault: 'collapses over all channels',
    caughtBy: 'collapses in each channel for itself',
    spoil({ store }) {
      store.collapse = (_channel, draft) => {
        const all = new Set(store.allRetained().flatMap((entry) => entry.draft.channels))
        const { seq } = store.state.head
        for (const channel of all) {
          for (const retained of store.retained(channel)) {
            if (
              draft.collapseKey !== undefined &&
              retained.draft.collapseKey === draft.collapseKey &&
              retained.seq < seq
            )
              retained.fates.set(channel, 'collapsed')
          }
        }
      }
    }
  },
  {
    fault: 'dispatches only the newest event of a collapse key in a batch',
    caughtBy: 'collapses within a batch, and dispatches every event of it',
    spoil(log) {
      changeDispatched(log, (events) =>
        events.filter(({ data }, index) => data[0] !== 'p' || index === events.length - 1)
      )
    }
  },
  {
    fault: 'counts collapsed events',
    caughtBy: 'does not count collapsed events, and reports a gap when the newest of the key is evicted',
    spoil({ store }) {
      store.bound = (channel) => {
        const filed = store.state.entries.filter(({ fates }) => fates.has(channel))
        for (const { fates } of filed.slice(0, -store.bounds.retention.user)) fates.set(channel, 'evicted')
      }
    }
  },
  {
    fault: 'evicts the newest event when it alone exceeds the bytes of its channel',
    caughtBy: 'keeps no more text in a channel than the bound for channels, but its newest event in any case',
    spoil({ store }) {
      store.bound = (channel) => {
        while (store.weight(channel) > store.bounds.retention.channelBytes) store.evictOldest(channel)
      }
    }
  },
  {
    fault: 'has no bound for the bytes of a channel',
    caughtBy: 'keeps no more text in a channel than the bound for channels, but its newest event in any case',
    spoil({ store }) {
      store.bound = () => {}
    }
  },
  {
    fault: 'evicts the oldest event of all channels when the total bytes are exceeded',
    caughtBy: 'keeps no more text in all than its bound, and evicts from the heaviest channel',
    spoil({ store }) {
      store.shrink = () => {
        while (store.stats().bytes > store.bounds.retention.bytes) {
          const oldest = store.allRetained()[0]
          for (const of of oldest?.draft.channels ?? []) oldest?.fates.set(of, 'evicted')
        }
      }
    }
  },
  {
    fault: 'evicts the history of users first when the total bytes are exceeded',
    caughtBy: 'keeps the history of users while a publisher floods topics, everyone and keys',
    spoil({ store }) {
      store.shrink = () => {
        while (store.stats().bytes > store.bounds.retention.bytes) {
          const users = store.allRetained().flatMap(({ draft }) => draft.channels.filter((of) => of.startsWith('u:')))
          store.evictOldest(users[0] ?? (store.allRetained()[0]?.draft.channels[0] as 'everyone'))
        }
      }
    }
  },
  {
    fault: 'has no bound for the total bytes',
    caughtBy: 'keeps no more text in all than its bound, and evicts from the heaviest channel',
    spoil({ store }) {
      store.shrink = () => {}
    }
  }
]
