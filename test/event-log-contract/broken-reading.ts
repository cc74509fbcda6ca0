import type { Channel } from '../../services/events/channel.ts'
import type { LogEvent } from '../../services/events/log-event.ts'
import { type BrokenLog, changeDrafts, changeQueries, Log, nextTurn, Store } from './broken-log.ts'

export const READING: readonly BrokenLog[] = [
  {
    fault: 'returns pages of any size',
    caughtBy: 'ends a page when it has about so much text, and reads on from there',
    spoil: ({ store }) => {
      store.page = (entries) => [...entries]
    }
  },
  {
    fault: 'mistakes a topic for the user of the same name',
    caughtBy: 'returns only the events of the channels of the reader, the oldest first',
    spoil({ store }) {
      store.select = (channels) =>
        Store.select.call(
          store,
          channels.flatMap((of): Channel[] => [of, `t:${of.slice(2)}`])
        )
    }
  },
  {
    fault: 'returns one channel after the other',
    caughtBy: 'joins several channels in the order of the sequence, and gives an event of several of them once',
    spoil({ store }) {
      store.select = (channels) => [...new Set(channels.flatMap((channel) => store.retained(channel)))]
    }
  },
  {
    fault: 'returns an event once for each of its channels',
    caughtBy: 'joins several channels in the order of the sequence, and gives an event of several of them once',
    spoil({ store }) {
      store.select = (channels) => channels.flatMap((channel) => store.retained(channel)).sort((a, b) => a.seq - b.seq)
    }
  },
  {
    fault: 'reports evictions while it is empty',
    caughtBy: 'reads an empty log from anywhere: nothing, and on from its head',
    spoil({ store }) {
      store.evicted = (channels) => (store.state.entries.length === 0 ? 1 : Store.evicted.call(store, channels))
    }
  },
  {
    fault: 'does not recognise the cursor of its beginning',
    caughtBy: 'resumes from the head of an empty log',
    spoil({ store }) {
      store.recognise = (from) =>
        typeof from === 'object' && 'seq' in from && from.seq === 0
          ? { after: 0, gap: 'diverged' }
          : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'begins with the newest event for "head"',
    caughtBy: 'begins with the next event when it reads from "head"',
    spoil({ store }) {
      store.recognise = (from) =>
        from === 'head' ? { after: store.state.head.seq - 2 } : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'recognises a cursor only if it belongs to the channels that are read',
    caughtBy: 'resumes after any event that it has, be it of the reader or of another',
    spoil({ store }) {
      store.read = (query) => {
        const { from } = query
        const isMine =
          typeof from !== 'object' || 'last' in from || store.select(query.channels).some(({ seq }) => seq === from.seq)
        return Store.read.call(store, isMine ? query : { ...query, from: 'oldest' })
      }
    }
  },
  {
    fault: 'returns the last n events of each channel',
    caughtBy: 'gives the newest so many of all channels together, and all if it has fewer',
    spoil({ store }) {
      store.read = (query) => {
        const { from } = query
        if (typeof from !== 'object' || !('last' in from)) return Store.read.call(store, query)
        const oldest = query.channels.map((channel) => store.retained(channel).slice(-from.last)[0]?.seq ?? 0)
        const all = store.select(query.channels).filter(({ seq }) => seq >= Math.min(...oldest))
        return Store.read.call(store, { ...query, from: { last: all.length } })
      }
    }
  },
  {
    fault: 'returns one event more than the limit',
    caughtBy: 'gives no more than the limit, says how many remain, and reads on from there',
    spoil(log) {
      changeQueries(log, (query) => ({ ...query, limit: query.limit + 1 }))
    }
  },
  {
    fault: 'continues from the head though events remain',
    caughtBy: 'returns every event once when read in pages of any size',
    spoil({ store }) {
      store.read = (query) => ({ ...Store.read.call(store, query), next: store.state.head })
    }
  },
  {
    fault: 'reports that nothing remains when the page is full',
    caughtBy: 'says that something remains until nothing does, also of events that are in several channels',
    spoil({ store }) {
      store.read = (query) => ({ ...Store.read.call(store, query), remaining: 0 })
    }
  },
  {
    fault: 'continues from the head as it is after the page was read',
    caughtBy: 'meets every event once when read in pages while others append',
    spoil(log) {
      log.read = async (query) => {
        const page = await Log.read.call(log, query)
        await nextTurn()
        return page.remaining === 0 ? { ...page, next: log.store.state.head } : page
      }
    }
  },
  {
    fault: 'reports to all readers the gap of one',
    caughtBy: 'has nothing, and no gap, in a channel that was never used',
    spoil({ store }) {
      store.evicted = () =>
        Store.evicted.call(store, [...new Set(store.state.entries.flatMap(({ draft }) => draft.channels))])
    }
  },
  {
    fault: 'treats an empty list of channels as a channel',
    caughtBy: 'gives a reader of no channel nothing, and reads on from the head',
    spoil(log) {
      changeQueries(log, (query) => ({
        ...query,
        channels: query.channels.length === 0 ? ['u:alice'] : query.channels
      }))
    }
  },
  {
    fault: 'normalises names',
    caughtBy: 'takes any name for a channel, and mistakes none for another',
    spoil(log) {
      const normal = (channels: readonly Channel[]) => channels.map((channel) => channel.normalize() as Channel)
      changeDrafts(log, (draft) => ({ ...draft, channels: normal(draft.channels) }))
      changeQueries(log, (query) => ({ ...query, channels: normal(query.channels) }))
    }
  },
  {
    fault: 'truncates long names',
    caughtBy: 'takes any name for a channel, and mistakes none for another',
    spoil(log) {
      const short = (channels: readonly Channel[]) => channels.map((channel) => channel.slice(0, 255) as Channel)
      changeDrafts(log, (draft) => ({ ...draft, channels: short(draft.channels) }))
      changeQueries(log, (query) => ({ ...query, channels: short(query.channels) }))
    }
  },
  {
    fault: 'returns the same array again, and fills it further',
    caughtBy: 'does not change a page that it has given',
    spoil({ store }) {
      const shared: LogEvent[] = []
      store.read = (query) => ({ ...Store.read.call(store, query), events: shared })
      store.append = (drafts) => {
        const receipts = Store.append.call(store, drafts)
        shared.splice(0, shared.length, ...store.allRetained().map(({ event }) => event))
        return receipts
      }
    }
  }
]
