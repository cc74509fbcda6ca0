import { sameEpoch } from '../../services/events/cursor.ts'
import { type BrokenLog, Store } from './broken-log.ts'

export const RECOGNISING: readonly BrokenLog[] = [
  {
    fault: 'accepts any witness of an entry that is no longer retained',
    caughtBy: 'answers a wrong witness alike, whether the entry is retained, evicted, or of another reader',
    spoil: ({ store }) => {
      store.recognise = (from) => {
        const seq = typeof from === 'object' && 'seq' in from ? from.seq : 0
        const isRetained = store.allRetained().some((entry) => entry.seq === seq)
        return seq > 0 && !isRetained ? { after: seq } : Store.recognise.call(store, from)
      }
    }
  },
  {
    fault: 'does not compare the epoch of a cursor',
    caughtBy: 'reports a reset for a cursor of another epoch, and returns all retained events',
    spoil({ store }) {
      store.recognise = (from) =>
        typeof from === 'object' && 'seq' in from && !sameEpoch(from.witness, store.epoch)
          ? { after: Math.min(from.seq, store.state.head.seq) }
          : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'continues from the head after a cursor of another epoch',
    caughtBy: 'reports a reset for a cursor of another epoch, and returns all retained events',
    spoil({ store }) {
      store.recognise = (from) => {
        const known = Store.recognise.call(store, from)
        return known.gap === 'reset' ? { ...known, after: store.state.head.seq } : known
      }
    }
  },
  {
    fault: 'treats a cursor ahead of its head as its head',
    caughtBy: 'treats a cursor ahead of its head as a lost tail, and returns all retained events',
    spoil({ store }) {
      store.recognise = (from) =>
        typeof from === 'object' &&
        'seq' in from &&
        from.seq > store.state.head.seq &&
        sameEpoch(from.witness, store.epoch)
          ? { after: store.state.head.seq }
          : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'does not compare witnesses',
    caughtBy: 'treats a cursor with the witness of another entry as a lost tail, for any reader of that entry',
    spoil({ store }) {
      store.recognise = (from) => {
        const known = Store.recognise.call(store, from)
        const isAhead = typeof from === 'object' && 'seq' in from && from.seq > store.state.head.seq
        return known.gap !== 'diverged' || isAhead ? known : { after: (from as { seq: number }).seq }
      }
    }
  },
  {
    fault: 'recognises only retained entries',
    caughtBy: 'recognises its head by its witness, though the entry is no longer retained',
    spoil({ store }) {
      store.recognise = (from) => {
        if (typeof from !== 'object' || 'last' in from) return Store.recognise.call(store, from)
        const isRetained = from.seq === 0 || store.allRetained().some(({ seq }) => seq === from.seq)
        return isRetained ? Store.recognise.call(store, from) : { after: 0, gap: 'diverged' }
      }
    }
  },
  {
    fault: 'returns all events at once after an unknown cursor',
    caughtBy: 'returns retained events in pages after an unknown cursor, with the gap on the first page only',
    spoil({ store }) {
      store.read = (query) => {
        const isKnown = store.recognise(query.from).gap === undefined
        return Store.read.call(store, isKnown ? query : { ...query, limit: 1_000_000 })
      }
    }
  },
  {
    fault: 'throws for a cursor that it cannot parse',
    caughtBy: 'never fails for a cursor, however strange',
    spoil({ store }) {
      store.recognise = (from) => {
        if (typeof from === 'object' && 'seq' in from && from.witness.length !== 14)
          throw new RangeError('a bad cursor')
        return Store.recognise.call(store, from)
      }
    }
  }
]
