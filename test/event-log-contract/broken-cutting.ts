import { type BrokenLog, Log, nextTurn } from './broken-log.ts'

export const CUTTING: readonly BrokenLog[] = [
  {
    fault: 'continues from the head after it reconnects',
    caughtBy: 'dispatches events that were appended while its connection was cut, after it reconnects',
    spoil(log) {
      log.cut = () => {
        const restore = Log.cut.call(log)
        return () => {
          for (const tail of log.tails) tail.last = log.store.state.bus.at(-1)
          restore()
        }
      }
    }
  },
  {
    fault: 'dispatches the last event again after it reconnects',
    caughtBy: 'dispatches events that were appended while its connection was cut, after it reconnects',
    spoil(log) {
      log.cut = () => {
        const restore = Log.cut.call(log)
        return () => {
          for (const { listener, last } of log.tails) if (last !== undefined) listener.onEvents([last])
          restore()
        }
      }
    }
  },
  {
    fault: 'continues from the oldest event when it has lost its position',
    caughtBy: 'reports a discontinuity when more was appended while its connection was cut than is retained',
    spoil(log) {
      log.begin = (listener) =>
        Log.begin.call(log, { onEvents: (events) => listener.onEvents(events), onDiscontinuity: () => {} })
    }
  },
  {
    fault: 'delays an append until it reconnects',
    caughtBy: 'rejects appends while its connection is cut, in time and with a code, and repeats safely after',
    showsBy: 'waiting',
    spoil(log) {
      log.append = async (drafts) => {
        while (log.isCut && !log.isClosed) await nextTurn()
        return Log.append.call(log, drafts)
      }
    }
  },
  {
    fault: 'returns an empty page while it is disconnected',
    caughtBy: 'answers a reader while its connection is cut, or rejects in time and with a code',
    spoil(log) {
      log.read = async (query) => {
        if (!log.isCut) return Log.read.call(log, query)
        return { events: [], remaining: 0, next: log.store.state.head, evicted: 0 }
      }
    }
  },
  {
    fault: 'cannot be closed while it is disconnected',
    caughtBy: 'can be closed while its connection is cut',
    spoil(log) {
      log.close = async () => {
        if (log.isCut) throw new Error('the connection is cut')
        await Log.close.call(log)
      }
    }
  }
]
