import { type BrokenLog, Log, turn } from './broken-log.ts'

export const CUTTING: readonly BrokenLog[] = [
  {
    fault: 'goes on from the head when its line is mended',
    caughtBy: 'hands over what was appended while its line was cut, once it is mended',
    spoil(log) {
      log.cut = () => {
        const mend = Log.cut.call(log)
        return () => {
          for (const tail of log.tails) tail.last = log.store.state.bus.at(-1)
          mend()
        }
      }
    }
  },
  {
    fault: 'hands the last event over again when its line is mended',
    caughtBy: 'hands over what was appended while its line was cut, once it is mended',
    spoil(log) {
      log.cut = () => {
        const mend = Log.cut.call(log)
        return () => {
          for (const { listener, last } of log.tails) if (last !== undefined) listener.onEvents([last])
          mend()
        }
      }
    }
  },
  {
    fault: 'goes on from the oldest that it has when it has lost its place',
    caughtBy: 'tells a break when more was appended while its line was cut than is held',
    spoil(log) {
      log.begin = (listener) =>
        Log.begin.call(log, { onEvents: (events) => listener.onEvents(events), onDiscontinuity: () => {} })
    }
  },
  {
    fault: 'waits with an append until its line is mended',
    caughtBy: 'refuses to append while its line is cut, in time and with a code, and repeats safely after',
    showsBy: 'waiting',
    spoil(log) {
      log.append = async (drafts) => {
        while (log.isCut && !log.isClosed) await turn()
        return Log.append.call(log, drafts)
      }
    }
  },
  {
    fault: 'gives a reader nothing while its line is cut',
    caughtBy: 'answers a reader while its line is cut, or refuses in time and with a code',
    spoil(log) {
      log.read = async (query) => {
        if (!log.isCut) return Log.read.call(log, query)
        return { events: [], remaining: 0, next: log.store.state.head, evicted: 0 }
      }
    }
  },
  {
    fault: 'cannot be closed while its line is cut',
    caughtBy: 'can be closed while its line is cut',
    spoil(log) {
      log.close = async () => {
        if (log.isCut) throw new Error('the line is cut')
        await Log.close.call(log)
      }
    }
  }
]
