import { newEpoch, newWitness } from '../../services/events/cursor.ts'
import { again, type BrokenLog, Log, Store } from './broken-log.ts'

export const LASTING: readonly BrokenLog[] = [
  {
    fault: 'has lost the newest event when it is opened again',
    caughtBy: 'has everything that was acknowledged when it is opened again, as it was',
    spoil: again(({ state }) => void state.entries.pop())
  },
  {
    fault: 'begins a new life when it is opened again',
    caughtBy: 'goes on with the next number when it is opened again, and resumes every cursor',
    spoil: again((store) => {
      Object.assign(store, { epoch: newEpoch() })
    })
  },
  {
    fault: 'begins with a new witness while it is empty',
    caughtBy: 'resumes the head of an empty log when it is opened again',
    spoil: again(({ state, epoch }) => {
      if (state.head.seq === 0) state.head = { seq: 0, witness: newWitness(epoch) }
    })
  },
  {
    fault: 'has forgotten the witnesses when it is opened again',
    caughtBy: 'still knows a wrong witness, and a number that it never gave, when it is opened again',
    spoil: again((store) => {
      store.recognise = (from) =>
        typeof from === 'object' && 'seq' in from ? { after: from.seq } : Store.recognise.call(store, from)
    })
  },
  {
    fault: 'has forgotten what it evicted when it is opened again',
    caughtBy: 'still knows what it evicted, and from whom, when it is opened again',
    spoil: again(({ state }) => {
      for (const { fates } of state.entries) {
        for (const [channel, fate] of fates) if (fate === 'evicted') fates.set(channel, 'expired')
      }
    })
  },
  {
    fault: 'has forgotten keys when it is opened again',
    caughtBy: 'still knows idempotency keys when it is opened again',
    spoil: again(({ state }) => state.known.clear())
  },
  {
    fault: 'has forgotten collapse keys when it is opened again',
    caughtBy: 'still collapses with what was there when it is opened again',
    spoil: again(({ state }) => {
      state.entries = state.entries.map((entry) => ({ ...entry, draft: { ...entry.draft, collapseKey: undefined } }))
    })
  },
  {
    fault: 'hands all that it has over when it is opened again',
    caughtBy: 'hands over only what is new when it is opened again',
    spoil: again((_store, log) => {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.last = undefined
        return tail
      }
    })
  },
  {
    fault: 'has half of the last batch when it is opened again',
    caughtBy: 'has whole batches when it was ended while they were appended, and all that were acknowledged',
    spoil: again(({ state }) => void state.entries.splice(-2))
  },
  {
    fault: 'measures age from when it was opened',
    caughtBy: 'goes on measuring time when it is opened again',
    spoil: again((store) => {
      const appendedAt = store.clock.monotonic()
      store.state.entries = store.state.entries.map((entry) => ({ ...entry, appendedAt }))
    })
  }
]
