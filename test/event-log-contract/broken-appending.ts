import type { Receipt } from '../../services/event-log/event-log.ts'
import { formatCursor } from '../../services/events/cursor.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { type BrokenLog, changeDrafts, changeEvents, Log, nextTurn, Store } from './broken-log.ts'

export const APPENDING: readonly BrokenLog[] = [
  {
    fault: 'skips a number before each batch',
    caughtBy: 'numbers the events of all channels in one sequence that begins with 1',
    spoil({ store }) {
      store.append = (drafts) => {
        store.accept({ channels: ['u:nobody'], event: '', data: '', transient: false, final: false, streams: 0 })
        return Store.append.call(store, drafts)
      }
    }
  },
  {
    fault: 'appends the events of a batch one by one',
    caughtBy: 'gives the events of a batch consecutive numbers, even if others append meanwhile',
    spoil(log) {
      log.append = async (drafts) => {
        const receipts: Receipt[] = []
        for (const draft of drafts) receipts.push(...(await Log.append.call(log, [draft])))
        return receipts
      }
    }
  },
  {
    fault: 'lets a later call overtake an earlier one',
    caughtBy: 'keeps the order of calls that did not wait for each other',
    spoil(log) {
      let calls = 0
      log.append = async (drafts) => {
        if (calls++ % 2 === 0) for (let turns = 0; turns < 5; turns++) await nextTurn()
        return Log.append.call(log, drafts)
      }
    }
  },
  {
    fault: 'shows one half of a batch before the other',
    caughtBy: 'shows a reader the whole of a batch or nothing of it',
    spoil(log) {
      log.append = async (drafts) => {
        const first = await Log.append.call(log, drafts.slice(0, 2))
        return [...first, ...(await Log.append.call(log, drafts.slice(2)))]
      }
    }
  },
  {
    fault: 'fulfils an append before readers see the event',
    caughtBy: 'shows what was appended once the append is fulfilled',
    spoil(log) {
      const { store } = log
      let hidden = 0
      store.append = (drafts) => {
        hidden++
        setTimeout(() => hidden--, 5)
        return Store.append.call(store, drafts)
      }
      store.read = (query) => {
        const page = Store.read.call(store, query)
        return hidden > 0 ? { ...page, events: page.events.slice(0, -1) } : page
      }
    }
  },
  {
    fault: 'returns receipts in reverse order',
    caughtBy: 'gives a receipt for each event of a batch, in its order',
    spoil({ store }) {
      store.append = (drafts) => Store.append.call(store, drafts).reverse()
    }
  },
  {
    fault: 'rejects an empty batch',
    caughtBy: 'takes an empty batch, which changes nothing',
    spoil({ store }) {
      store.append = (drafts) =>
        drafts.length === 0 ? [store.accept(drafts[0] as NewEvent)] : Store.append.call(store, drafts)
    }
  },
  {
    fault: 'truncates a long batch',
    caughtBy: 'takes a thousand events in one batch',
    spoil({ store }) {
      store.append = (drafts) => Store.append.call(store, drafts.slice(0, 999))
    }
  },
  {
    fault: 'returns ids with a colon',
    caughtBy: 'gives ids that are cursors as text: at most 32 of [0-9a-z.], each another',
    spoil(log) {
      changeEvents(log, (event) => ({ ...event, id: event.id?.replace('.', ':') ?? null }))
    }
  },
  {
    fault: 'uses one witness for all entries',
    caughtBy: 'gives ids that are cursors as text: at most 32 of [0-9a-z.], each another',
    spoil(log) {
      changeEvents(log, (event) => {
        const cursor = event.cursor && { ...event.cursor, witness: `${log.store.epoch}000000` }
        return { ...event, cursor, id: cursor && formatCursor(cursor) }
      })
    }
  },
  {
    fault: 'has the same epoch as every other log',
    caughtBy: 'gives the first event of each log another id, for each log has its own epoch',
    spoil(log) {
      changeEvents(log, (event) => {
        const cursor = event.cursor && { ...event.cursor, witness: String(event.cursor.seq).padStart(14, '0') }
        return { ...event, cursor, id: cursor && formatCursor(cursor) }
      })
    }
  },
  {
    fault: 'trims data',
    caughtBy: 'returns texts and names as they were appended, with any content',
    spoil(log) {
      changeEvents(log, (event) => ({ ...event, data: event.data.trim() }))
    }
  },
  {
    fault: 'drops the final flag of an event',
    caughtBy: 'returns texts and names as they were appended, with any content',
    spoil(log) {
      changeEvents(log, (event) => ({ ...event, final: false }))
    }
  },
  {
    fault: 'stores a failure as a success',
    caughtBy: 'returns texts and names as they were appended, with any content',
    spoil(log) {
      changeEvents(log, (event) => ({ ...event, final: event.final !== false }))
    }
  },
  {
    fault: 'forgets the excepted users of stored events',
    caughtBy: 'returns the users that an event excepts, from history and from the tail, and none for other events',
    spoil(log) {
      changeEvents(log, (event) => ({ ...event, except: undefined }))
    }
  },
  {
    fault: 'forgets the traces of stored events',
    caughtBy: 'returns the trace of an event, from history and from the tail, and none for other events',
    spoil(log) {
      changeEvents(log, (event) => ({ ...event, trace: undefined }))
    }
  },
  {
    fault: 'truncates long data',
    caughtBy: 'takes an event of a mebibyte',
    spoil(log) {
      changeEvents(log, (event) => ({ ...event, data: event.data.slice(0, 500_000) }))
    }
  },
  {
    fault: 'files an event under a hundred channels at most',
    caughtBy: 'files an event under as many channels as it has',
    spoil(log) {
      changeDrafts(log, (draft) => ({ ...draft, channels: draft.channels.slice(0, 100) }))
    }
  },
  {
    fault: 'stores transient events',
    caughtBy: 'neither numbers nor keeps a transient event',
    spoil(log) {
      changeDrafts(log, (draft) => ({ ...draft, transient: false }))
    }
  },
  {
    fault: 'reports a wrong head',
    caughtBy: 'returns its statistics at once, without a promise',
    spoil({ store }) {
      store.stats = () => ({ ...Store.stats.call(store), head: 0 })
    }
  }
]
