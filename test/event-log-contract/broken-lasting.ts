import { newEpoch, newWitness } from '../../services/events/cursor.ts'
import { type BrokenLog, Log, onReopen, Store } from './broken-log.ts'

export const LASTING: readonly BrokenLog[] = [
  {
    fault: 'loses the newest event when it is reopened',
    caughtBy: 'has everything that was acknowledged when it is opened again, as it was',
    spoil: onReopen(({ state }) => void state.entries.pop())
  },
  {
    fault: 'begins a new epoch when it is reopened',
    caughtBy: 'goes on with the next number when it is opened again, and resumes every cursor',
    spoil: onReopen((store) => {
      Object.assign(store, { epoch: newEpoch() })
    })
  },
  {
    fault: 'begins with a new witness while it is empty',
    caughtBy: 'resumes the head of an empty log when it is opened again',
    spoil: onReopen(({ state, epoch }) => {
      if (state.head.seq === 0) state.head = { seq: 0, witness: newWitness(epoch) }
    })
  },
  {
    fault: 'forgets the witnesses when it is reopened',
    caughtBy: 'still knows a wrong witness, and a number that it never gave, when it is opened again',
    spoil: onReopen((store) => {
      store.recognise = (from) =>
        typeof from === 'object' && 'seq' in from ? { after: from.seq } : Store.recognise.call(store, from)
    })
  },
  {
    fault: 'forgets evictions when it is reopened',
    caughtBy: 'still knows what it evicted, and from whom, when it is opened again',
    spoil: onReopen(({ state }) => {
      for (const { fates } of state.entries) {
        for (const [channel, fate] of fates) if (fate === 'evicted') fates.set(channel, 'expired')
      }
    })
  },
  {
    fault: 'forgets idempotency keys when it is reopened',
    caughtBy: 'still knows idempotency keys when it is opened again',
    spoil: onReopen(({ state }) => state.known.clear())
  },
  {
    fault: 'forgets collapse keys when it is reopened',
    caughtBy: 'still collapses with what was there when it is opened again',
    spoil: onReopen(({ state }) => {
      state.entries = state.entries.map((entry) => ({ ...entry, draft: { ...entry.draft, collapseKey: undefined } }))
    })
  },
  {
    fault: 'dispatches all retained events when it is reopened',
    caughtBy: 'dispatches only new events when it is opened again',
    spoil: onReopen((_store, log) => {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.last = undefined
        return tail
      }
    })
  },
  {
    fault: 'has half of the last batch when it is reopened',
    caughtBy: 'has whole batches when it was ended while they were appended, and all that were acknowledged',
    spoil: onReopen(({ state }) => void state.entries.splice(-2))
  },
  {
    fault: 'measures age from the time of reopening',
    caughtBy: 'goes on measuring time when it is opened again',
    spoil: onReopen((store) => {
      const appendedAt = store.clock.monotonic()
      store.state.entries = store.state.entries.map((entry) => ({ ...entry, appendedAt }))
    })
  }
]
