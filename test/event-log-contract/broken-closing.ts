import type { Receipt } from '../../services/event-log/event-log.ts'
import { type BrokenLog, changeDispatched, Log, timersLeft } from './broken-log.ts'

export const CLOSING: readonly BrokenLog[] = [
  {
    fault: 'cannot be closed twice',
    caughtBy: 'may be closed again, and at the same time',
    spoil(log) {
      log.close = async () => {
        if (log.isClosed && log.store.state.entries.length > 0) throw new Error('closed already')
        await Log.close.call(log)
      }
    }
  },
  {
    fault: 'cannot be closed before the first append',
    caughtBy: 'may be closed before anything was done with it',
    spoil(log) {
      log.close = async () => {
        if (log.store.state.entries.length === 0) throw new Error('nothing to close')
        await Log.close.call(log)
      }
    }
  },
  {
    fault: 'appends after it is closed',
    caughtBy: 'refuses to append and to listen when it is closed, with the code of the error',
    spoil(log) {
      log.append = async (drafts) => log.store.append(drafts)
    }
  },
  {
    fault: 'rejects a read without a code after it is closed',
    caughtBy: 'answers a reader when it is closed, or refuses with the code of the error',
    spoil(log) {
      log.read = async (query) => {
        if (log.isClosed) throw new Error('closed')
        return Log.read.call(log, query)
      }
    }
  },
  {
    fault: 'dispatches pending events after it is closed',
    caughtBy: 'calls no listener any more once it is closed',
    spoil(log) {
      log.append = async (drafts) => log.store.append(drafts)
      log.close = async () => {
        const tails = [...log.tails]
        log.isClosed = true
        setImmediate(() => tails.forEach((tail) => void tail.step()))
      }
    }
  },
  {
    fault: 'never settles pending appends after it is closed',
    caughtBy: 'settles every append that it was closed over: done, or refused with a code',
    showsBy: 'waiting',
    spoil(log) {
      log.append = async (drafts) => {
        const receipts = await Log.append.call(log, drafts).catch(() => new Promise<Receipt[]>(() => {}))
        return receipts
      }
    }
  },
  {
    fault: 'waits in close for the listener that closes it',
    caughtBy: 'can be closed by a listener that is being called',
    showsBy: 'waiting',
    spoil(log) {
      let isCalling = false
      changeDispatched(log, (events) => {
        isCalling = true
        return events
      })
      log.close = async () => {
        if (isCalling) await new Promise(() => {})
        await Log.close.call(log)
      }
    }
  },
  {
    fault: 'rejects stopping a tail after it is closed',
    caughtBy: 'lets a tail be stopped after it is closed',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.stop = async () => {
          if (!log.tails.delete(tail)) throw new Error('no such tail')
        }
        return tail
      }
    }
  },
  {
    fault: 'reports readiness after it is closed',
    caughtBy: 'is ready while it is open, if it reports its health',
    spoil(log) {
      log.ready = async () => true
    }
  },
  {
    fault: 'leaves a timer running after it is closed',
    caughtBy: 'leaves nothing running when it is closed',
    showsBy: 'waiting',
    spoil(log) {
      log.close = async () => {
        await Log.close.call(log)
        timersLeft.push(setInterval(() => {}, 1_000))
      }
    }
  }
]
