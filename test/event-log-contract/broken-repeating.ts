import type { NewEvent } from '../../services/events/log-event.ts'
import { type BrokenLog, changeDrafts, Log, Store, withKey } from './broken-log.ts'

export const REPEATING: readonly BrokenLog[] = [
  {
    fault: 'returns the stream count of the second call for a repeat',
    caughtBy: 'gives the first receipt again for a key that it knows, and appends nothing',
    spoil({ store }) {
      store.known = (draft) => {
        const known = Store.known.call(store, draft)
        return known && { ...known, streams: draft.streams }
      }
    }
  },
  {
    fault: 'looks keys up before it appends any event of a batch',
    caughtBy: 'knows a key from earlier in the same batch',
    spoil({ store }) {
      store.append = (drafts) => {
        const known = drafts.map((draft) => store.known(draft))
        const receipts = drafts.map((draft, index) => known[index] ?? store.accept(draft))
        store.wake()
        return receipts
      }
    }
  },
  {
    fault: 'rejects a whole batch for one known key',
    caughtBy: 'appends what is new of a batch that is repeated in part',
    spoil({ store }) {
      store.append = (drafts) => {
        const known = drafts.map((draft) => store.known(draft)).find((receipt) => receipt !== undefined)
        return known === undefined ? Store.append.call(store, drafts) : drafts.map(() => known)
      }
    }
  },
  {
    fault: 'looks keys up one turn before it appends',
    caughtBy: 'appends one event when many come with the same key at the same time',
    spoil(log) {
      const { store } = log
      log.append = async (drafts) => {
        const known = await log.queue(() => drafts.map((draft) => Store.known.call(store, draft)))
        store.known = () => undefined
        const receipts = await Log.append.call(log, drafts)
        return receipts.map((receipt, index) => known[index] ?? receipt)
      }
    }
  },
  {
    fault: 'does not remember the keys of transient events',
    caughtBy: 'dispatches a transient event once for each key',
    spoil(log) {
      changeDrafts(log, (draft) => (draft.transient ? { ...draft, idempotency: undefined } : draft))
    }
  },
  {
    fault: 'treats keys that differ in case as equal',
    caughtBy: 'takes any text for a key, and mistakes none for another',
    spoil(log) {
      const lower = (draft: NewEvent) => withKey(draft, (key) => key.toLowerCase())
      log.store.append = (drafts) => Store.append.call(log.store, drafts.map(lower))
    }
  },
  {
    fault: 'has one scope for all keys',
    caughtBy: 'keeps the keys of one scope apart from those of another',
    spoil(log) {
      const mixed = (draft: NewEvent) => ({
        ...draft,
        idempotency: draft.idempotency && { ...draft.idempotency, scope: '', digest: '' }
      })
      log.store.append = (drafts) => Store.append.call(log.store, drafts.map(mixed))
    }
  },
  {
    fault: 'treats other content as a repeat',
    caughtBy: 'refuses a key that comes again with other content, and the whole batch that it is in',
    spoil: ({ store }) => {
      store.refuse = () => {}
    }
  },
  {
    fault: 'appends the valid events of a batch that it rejects',
    caughtBy: 'refuses a key that comes again with other content, and the whole batch that it is in',
    spoil: ({ store }) => {
      store.append = (drafts) => drafts.flatMap((draft) => Store.append.call(store, [draft]))
    }
  },
  {
    fault: 'does not compare contents within a batch',
    caughtBy: 'refuses a batch that has one key with two contents',
    spoil: ({ store }) => {
      store.refuse = (drafts) => {
        for (const draft of drafts) Store.refuse.call(store, [draft])
      }
    }
  },
  {
    fault: 'forgets the key of a scope when another has many',
    caughtBy: 'forgets no key of a scope, however many keys another has',
    spoil: ({ store }) => {
      store.accept = (draft) => {
        if (store.state.known.size > 100_000) store.state.known.clear()
        return Store.accept.call(store, draft)
      }
    }
  },
  {
    fault: 'forgets the key of an event that is no longer retained',
    caughtBy: 'knows a key when the event itself is no longer retained',
    spoil({ store }) {
      store.known = (draft) => {
        const known = Store.known.call(store, draft)
        return store.allRetained().some(({ event }) => event.id === known?.id) ? known : undefined
      }
    }
  }
]
