import type { NewEvent } from '../../services/events/log-event.ts'
import { type BrokenLog, Log, renamed, Store, taking } from './broken-log.ts'

export const REPEATING: readonly BrokenLog[] = [
  {
    fault: 'gives a repeat the streams of its second call',
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
    fault: 'refuses a whole batch for one key that it knows',
    caughtBy: 'appends what is new of a batch that is repeated in part',
    spoil({ store }) {
      store.append = (drafts) => {
        const known = drafts.map((draft) => store.known(draft)).find((receipt) => receipt !== undefined)
        return known === undefined ? Store.append.call(store, drafts) : drafts.map(() => known)
      }
    }
  },
  {
    fault: 'looks keys up a turn before it appends',
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
    caughtBy: 'hands a transient event over once for each key',
    spoil(log) {
      taking(log, (draft) => (draft.transient ? { ...draft, idempotency: undefined } : draft))
    }
  },
  {
    fault: 'takes keys for equal that differ in case',
    caughtBy: 'takes any text for a key, and mistakes none for another',
    spoil(log) {
      const lower = (draft: NewEvent) => renamed(draft, (key) => key.toLowerCase())
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
    fault: 'takes other content for a repeat',
    caughtBy: 'refuses a key that comes again with other content, and the whole batch that it is in',
    spoil: ({ store }) => {
      store.refuse = () => {}
    }
  },
  {
    fault: 'appends what is good of a batch that it refuses',
    caughtBy: 'refuses a key that comes again with other content, and the whole batch that it is in',
    spoil: ({ store }) => {
      store.append = (drafts) => drafts.flatMap((draft) => Store.append.call(store, [draft]))
    }
  },
  {
    fault: 'does not look for other content within a batch',
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
    fault: 'forgets the key of what is no longer held',
    caughtBy: 'knows a key when the event itself is no longer held',
    spoil({ store }) {
      store.known = (draft) => {
        const known = Store.known.call(store, draft)
        return store.allHeld().some(({ event }) => event.id === known?.id) ? known : undefined
      }
    }
  }
]
