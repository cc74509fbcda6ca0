import { isInboxChannel } from '../../services/events/channel.ts'
import { type BrokenLog, onReopen, Store } from './broken-log.ts'

export const INBOXES: readonly BrokenLog[] = [
  {
    fault: 'bounds an inbox like the history of a user',
    caughtBy: 'keeps the newest events of each inbox, as many as one may have',
    spoil({ store }) {
      store.bound = (channel) => {
        const { user } = store.bounds.retention
        Store.bound.call(store, channel)
        while (isInboxChannel(channel) && store.retained(channel).length > user) store.evictOldest(channel)
      }
    }
  },
  {
    fault: 'believes that inboxes are in use when there is any event',
    caughtBy: 'knows whether any inbox has an event',
    spoil({ store }) {
      store.stats = () => ({ ...Store.stats.call(store), hasInboxes: store.state.head.seq > 0 })
    }
  },
  {
    fault: 'counts events that were retracted',
    caughtBy: 'counts the events of an inbox after a cursor without those that are gone',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        const isRetracted = (fate: string | undefined) => fate === 'retracted'
        const retracted = store.state.entries.filter(({ fates }) =>
          query.channels.some((channel) => isInboxChannel(channel) && isRetracted(fates.get(channel)))
        )
        return { ...page, remaining: page.remaining + retracted.length }
      }
    }
  },
  {
    fault: 'retracts an event from one of its channels only',
    caughtBy: 'retracts an event from all its channels, without a gap',
    spoil({ store }) {
      store.retract = (draft, cursor) => {
        const entry = store.state.entries[cursor.seq - 1]
        const others = [...(entry?.fates ?? [])].slice(1)
        const applied = Store.retract.call(store, draft, cursor)
        for (const [channel, fate] of others) entry?.fates.set(channel, fate)
        return applied
      }
    }
  },
  {
    fault: 'reports a gap for an event that was retracted',
    caughtBy: 'retracts an event from all its channels, without a gap',
    spoil({ store }) {
      store.retract = (draft, cursor) => {
        const applied = Store.retract.call(store, draft, cursor)
        const { fates } = store.state.entries[cursor.seq - 1] ?? {}
        for (const [channel, fate] of fates ?? []) if (fate === 'retracted') fates?.set(channel, 'evicted')
        return applied
      }
    }
  },
  {
    fault: 'retracts an event from all its channels although some are named',
    caughtBy: 'retracts an event from the named channels alone',
    spoil({ store }) {
      store.retract = (draft, cursor) => {
        const applied = Store.retract.call(store, draft, cursor)
        const { fates } = store.state.entries[cursor.seq - 1] ?? {}
        if (applied !== undefined) for (const channel of fates?.keys() ?? []) fates?.set(channel, 'retracted')
        return applied
      }
    }
  },
  {
    fault: 'retracts an event whose witness is another',
    caughtBy: 'appends nothing for an event that cannot be retracted',
    spoil({ store }) {
      store.retract = (draft, { seq, witness }) =>
        Store.retract.call(store, draft, store.state.entries[seq - 1]?.event.cursor ?? { seq, witness })
    }
  },
  {
    fault: 'appends a retraction of an event that is gone',
    caughtBy: 'appends nothing for an event that cannot be retracted',
    spoil({ store }) {
      store.retract = (draft, cursor) => Store.retract.call(store, draft, cursor) ?? draft
    }
  },
  {
    fault: 'overlooks an event of the same batch when it retracts',
    caughtBy: 'retracts an event of the same batch',
    spoil({ store }) {
      store.append = (drafts) => {
        const newest = store.state.head.seq
        store.retract = (draft, cursor) => (cursor.seq < newest ? Store.retract.call(store, draft, cursor) : undefined)
        return Store.append.call(store, drafts)
      }
    }
  },
  {
    fault: 'replaces a read cursor that is not the newest any more',
    caughtBy: 'replaces a read cursor only while it is the newest',
    spoil({ store }) {
      store.apply = (draft) => Store.apply.call(store, { ...draft, replaces: undefined })
    }
  },
  {
    fault: 'keeps the read cursor that was replaced',
    caughtBy: 'replaces a read cursor only while it is the newest',
    spoil({ store }) {
      store.collapse = (channel, draft) => {
        if (draft.replaces === undefined) Store.collapse.call(store, channel, draft)
      }
    }
  },
  {
    fault: 'evicts from an inbox by the age of history',
    caughtBy: 'keeps an event in the inbox when its age evicts it from its other channels, which is a gap',
    spoil({ store }) {
      store.expire = () => {
        Store.expire.call(store)
        for (const { fates, appendedAt } of store.state.entries) {
          const isAged = store.clock.monotonic() >= appendedAt + store.bounds.retention.age
          for (const [channel, fate] of fates)
            if (isAged && fate === 'retained' && isInboxChannel(channel)) fates.set(channel, 'expired')
        }
      }
    }
  },
  {
    fault: 'reports a gap for an event that became too old for its inbox',
    caughtBy: 'drops an event from the inbox when it is too old for that, which is not a gap',
    spoil({ store }) {
      store.expire = () => {
        Store.expire.call(store)
        for (const { fates } of store.state.entries)
          for (const [channel, fate] of fates)
            if (fate === 'expired' && isInboxChannel(channel)) fates.set(channel, 'evicted')
      }
    }
  },
  {
    fault: 'keeps an event in the inbox for ever',
    caughtBy: 'drops an event from the inbox when it is too old for that, which is not a gap',
    spoil({ store }) {
      store.expire = () => {
        Store.expire.call(store)
        for (const { fates } of store.state.entries)
          for (const [channel, fate] of fates)
            if (fate === 'expired' && isInboxChannel(channel)) fates.set(channel, 'retained')
      }
    }
  },
  {
    fault: 'drops silently from history what becomes too old for the inbox at the same time',
    caughtBy: 'reports the gap of an age that passed together with that of inboxes',
    spoil({ store }) {
      store.expire = () => {
        Store.expire.call(store)
        for (const { fates } of store.state.entries) {
          const isGone = [...fates].some(([channel, fate]) => isInboxChannel(channel) && fate === 'expired')
          for (const [channel, fate] of fates)
            if (isGone && fate === 'evicted' && !isInboxChannel(channel)) fates.set(channel, 'expired')
        }
      }
    }
  },
  {
    fault: 'keeps an event in the inbox after its ttl',
    caughtBy: 'drops an event from the inbox after its ttl, which is not a gap anywhere',
    spoil({ store }) {
      store.expire = () => {
        Store.expire.call(store)
        for (const { draft, appendedAt, fates } of store.state.entries) {
          const isYoung = store.clock.monotonic() < appendedAt + store.bounds.retention.inboxAge
          for (const [channel, fate] of fates)
            if (draft.ttl !== undefined && isYoung && fate === 'expired' && isInboxChannel(channel))
              fates.set(channel, 'retained')
        }
      }
    }
  },
  {
    fault: 'stops its search for old events at one that an inbox retains',
    caughtBy: 'evicts by age after events that inboxes retain',
    spoil({ store }) {
      store.expire = () => {
        const kept = store.state.entries.find(({ fates }) =>
          [...fates].some(([channel, fate]) => isInboxChannel(channel) && fate === 'retained')
        )
        const before = store.state.entries.map(({ fates }) => new Map(fates))
        Store.expire.call(store)
        store.state.entries.forEach((entry, at) => {
          if (kept === undefined || entry.seq <= kept.seq) return
          for (const [channel, fate] of before[at] ?? []) entry.fates.set(channel, fate)
        })
      }
    }
  },
  {
    fault: 'forgets retractions when it is opened again',
    caughtBy: 'keeps inboxes, read cursors and retractions when it is opened again',
    spoil: onReopen((store) => {
      for (const { fates } of store.state.entries)
        for (const [channel, fate] of fates) if (fate === 'retracted') fates.set(channel, 'retained')
    })
  },
  {
    fault: 'forgets that inboxes are in use when it is opened again',
    caughtBy: 'keeps inboxes, read cursors and retractions when it is opened again',
    spoil: onReopen((store) => {
      store.stats = () => ({ ...Store.stats.call(store), hasInboxes: false })
    })
  },
  {
    fault: 'answers a reader of the tail from a memory that has events that were retracted',
    caughtBy: 'counts on every node, and reads a retracted event on no node',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        if (!query.isTailed) return page
        const retracted = store.state.entries.filter(({ fates }) => [...fates.values()].includes('retracted'))
        return { ...page, events: [...retracted.map(({ event }) => event), ...page.events] }
      }
    }
  }
]
