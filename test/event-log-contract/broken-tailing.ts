import type { LogEvent } from '../../services/events/log-event.ts'
import { type BrokenLog, changeDispatched, Log, nextTurn, Store } from './broken-log.ts'

export const TAILING: readonly BrokenLog[] = [
  {
    fault: 'dispatches events that arrive together twice',
    caughtBy: 'dispatches every event once, in order, as a reader finds it',
    spoil(log) {
      changeDispatched(log, (events) => (events.length > 1 ? [...events, ...events] : events))
    }
  },
  {
    fault: 'dispatches events without their channels',
    caughtBy: 'dispatches every event once, in order, as a reader finds it',
    spoil(log) {
      changeDispatched(log, (events) => events.map((event) => ({ ...event, channels: [] })))
    }
  },
  {
    fault: 'dispatches events that arrive together in reverse order',
    caughtBy: 'dispatches events in order when many are appended at the same time',
    spoil(log) {
      changeDispatched(log, (events) => events.reverse())
    }
  },
  {
    fault: 'begins with the oldest retained event',
    caughtBy: 'begins after the position that it returns',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.last = undefined
        return tail
      }
    }
  },
  {
    fault: 'begins one turn after the reported position',
    caughtBy: 'dispatches events that are appended while it begins exactly once',
    spoil(log) {
      log.tail = async (listener) => {
        const { head } = log.store.state
        await nextTurn()
        const tail = await Log.tail.call(log, listener)
        return { position: head, stop: () => tail.stop() }
      }
    }
  },
  {
    fault: 'dispatches transient events after the others',
    caughtBy: 'dispatches a transient event in order among the others',
    spoil(log) {
      changeDispatched(log, (events) => [
        ...events.filter(({ id }) => id !== null),
        ...events.filter(({ id }) => id === null)
      ])
    }
  },
  {
    fault: 'dispatches events before readers see them',
    caughtBy: 'never dispatches an event before a reader sees it',
    spoil(log) {
      const dispatched = new Set<LogEvent>()
      changeDispatched(log, (events) => {
        for (const event of events) dispatched.add(event)
        setTimeout(() => dispatched.clear(), 3)
        return events
      })
      log.store.select = (channels) =>
        Store.select.call(log.store, channels).filter(({ event }) => !dispatched.has(event))
    }
  },
  {
    fault: 'has one tail, which the last listener takes',
    caughtBy: 'dispatches every event to each of several listeners',
    showsBy: 'waiting',
    spoil(log) {
      log.tail = (listener) => {
        log.tails.clear()
        return Log.tail.call(log, listener)
      }
    }
  },
  {
    fault: 'stops all tails when one is stopped',
    caughtBy: 'dispatches nothing after it has been stopped, while others continue',
    showsBy: 'waiting',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.stop = async () => log.tails.clear()
        return tail
      }
    }
  },
  {
    fault: 'ignores a stop',
    caughtBy: 'can be stopped by the listener that is being called',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.stop = async () => {}
        return tail
      }
    }
  },
  {
    fault: 'calls listeners from within the append',
    caughtBy: 'dispatches events that a listener appends after the current ones, to every listener',
    spoil(log) {
      const { store } = log
      log.append = async (drafts) => store.append(drafts)
      log.wake = () => {
        for (const tail of log.tails) tail.step()
      }
    }
  },
  {
    fault: 'dispatches the current events to a new listener as well',
    caughtBy: 'begins after its position also for a listener that begins while another is being called',
    spoil(log) {
      const { store } = log
      log.append = async (drafts) => store.append(drafts)
      log.tail = async (listener) => {
        const tail = log.begin(listener)
        log.tails.add(tail)
        return tail
      }
      log.wake = () => {
        const { bus } = store.state
        const first = [...log.tails][0]
        const newEvents = bus.slice(bus.lastIndexOf(first?.last) + 1).flatMap((event) => event ?? [])
        if (newEvents.length === 0) return
        for (const tail of log.tails) {
          tail.last = bus.at(-1)
          tail.listener.onEvents(newEvents)
        }
      }
    }
  },
  {
    fault: 'dispatches only retained events',
    caughtBy: 'dispatches events that are retained briefly, or not at all',
    spoil(log) {
      changeDispatched(log, (events) => {
        const retained = new Set(log.store.allRetained().map(({ event }) => event))
        return events.filter((event) => retained.has(event))
      })
    }
  }
]
