import { nameOf } from '../event-log/naive-log.ts'
import { type BrokenLog, Store } from './broken-log.ts'

export const TIMING: readonly BrokenLog[] = [
  {
    fault: 'retains events beyond their age',
    caughtBy: 'evicts events beyond their age, which is a gap',
    spoil({ store }) {
      store.expire = () => {}
    }
  },
  {
    fault: 'treats expired events as evicted',
    caughtBy: 'no longer returns an expired event, which is no gap',
    spoil({ store }) {
      store.expire = () => {
        Store.expire.call(store)
        for (const { fates } of store.state.entries) {
          for (const [channel, fate] of fates) if (fate === 'expired') fates.set(channel, 'evicted')
        }
      }
    }
  },
  {
    fault: 'counts expired events until the next read',
    caughtBy: 'does not count expired events',
    spoil({ store }) {
      store.append = (drafts) => {
        const receipts = drafts.map((draft) => store.known(draft) ?? store.accept(draft))
        store.wake()
        return receipts
      }
    }
  },
  {
    fault: 'reports no gap for an event with a TTL',
    caughtBy: 'reports a gap when retention drops an event before its TTL',
    spoil({ store }) {
      store.evictOldest = (channel) => {
        const oldest = store.retained(channel)[0]
        oldest?.fates.set(channel, oldest.draft.ttl === undefined ? 'evicted' : 'expired')
      }
    }
  },
  {
    fault: 'expires the newest event of a collapse key with the first',
    caughtBy: 'keeps the newest of a collapse key as long as it is worth, not the one before',
    spoil({ store }) {
      store.accept = (draft) => {
        const before = store
          .allRetained()
          .find((retained) => draft.collapseKey !== undefined && retained.draft.collapseKey === draft.collapseKey)
        return Store.accept.call(store, { ...draft, ttl: before?.draft.ttl ?? draft.ttl })
      }
    }
  },
  {
    fault: 'restarts the window of an idempotency key with each repeat',
    caughtBy: 'forgets an idempotency key when its window has passed since the first, not the last, use',
    spoil({ store }) {
      store.known = (draft) => {
        const receipt = Store.known.call(store, draft)
        const known = store.state.known.get(nameOf(draft))
        if (receipt !== undefined && known !== undefined) {
          store.state.known.set(nameOf(draft), { ...known, at: store.clock.monotonic() })
        }
        return receipt
      }
    }
  },
  {
    fault: 'never forgets an idempotency key',
    caughtBy: 'forgets an idempotency key when its window has passed since the first, not the last, use',
    spoil({ store }) {
      store.known = (draft) => {
        const known = store.state.known.get(nameOf(draft))
        return known && { ...known.receipt, isRepeat: true }
      }
    }
  }
]
