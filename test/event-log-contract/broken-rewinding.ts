import { formatCursor } from '../../services/events/cursor.ts'
import { type BrokenLog, changeEvents, Log, Tail } from './broken-log.ts'

export const REWINDING: readonly BrokenLog[] = [
  {
    fault: 'does not record that it has lost its tail',
    caughtBy: 'knows the cursors of a tail that was lost, also once it has given their numbers again',
    spoil({ store }) {
      store.lose = () => {}
    }
  },
  {
    fault: 'gives an entry the same witness whenever it gives its number',
    caughtBy: 'knows the cursors of a tail that was lost, also once it has given their numbers again',
    spoil(log) {
      changeEvents(log, (event) => {
        const cursor = event.cursor && {
          ...event.cursor,
          witness: log.store.epoch + String(event.cursor.seq).padStart(6, '0')
        }
        return { ...event, cursor, id: cursor && formatCursor(cursor) }
      })
    }
  },
  {
    fault: 'continues when the tail that it dispatched was lost',
    caughtBy: 'reports a discontinuity to a listener when the tail that was lost had been dispatched',
    showsBy: 'waiting',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.step = () => {
          if (!log.store.state.bus.includes(tail.last)) tail.last = log.store.state.bus.at(-1)
          return Tail.step.call(tail)
        }
        return tail
      }
    }
  }
]
