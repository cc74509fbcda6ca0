import type { ReadQuery } from '../../services/event-log/event-log.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'
import { NaiveLog, NaiveStore, NaiveTail } from '../event-log/naive-log.ts'

/** A log with one fault, and the test of the contract that must catch it. */
export interface BrokenLog {
  readonly fault: string
  readonly caughtBy: string
  readonly spoil: (log: NaiveLog) => void
  /** The fault shows only in an event or answer that never comes. Every other fault shows by itself. */
  readonly showsBy?: 'waiting'
}

/** Timers that faults have left running. */
export const timersLeft: NodeJS.Timeout[] = []

export function clearTimersLeft(): void {
  for (const timer of timersLeft.splice(0)) clearInterval(timer)
}

export const Store = NaiveStore.prototype
export const Log = NaiveLog.prototype
export const Tail = NaiveTail.prototype

export const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Changes the events that one node dispatches to its tails. */
export function changeDispatched(log: NaiveLog, change: (events: LogEvent[], tail: NaiveTail) => LogEvent[]): void {
  log.begin = (listener) => {
    const tail: NaiveTail = Log.begin.call(log, {
      onEvents(events) {
        const changed = change([...events], tail)
        if (changed.length > 0) listener.onEvents(changed)
      },
      onDiscontinuity: (position) => listener.onDiscontinuity(position)
    })
    return tail
  }
}

/** Changes the queries of readers. */
export function changeQueries({ store }: NaiveLog, change: (query: ReadQuery) => ReadQuery): void {
  store.read = (query) => Store.read.call(store, change(query))
}

/** Changes the idempotency key of a draft before it is accepted. */
export function withKey(draft: NewEvent, rename: (key: string) => string): NewEvent {
  const { idempotency } = draft
  return { ...draft, idempotency: idempotency && { ...idempotency, key: rename(idempotency.key) } }
}

export function changeDrafts({ store }: NaiveLog, change: (draft: NewEvent) => NewEvent): void {
  store.accept = (draft) => Store.accept.call(store, change(draft))
}

/** Changes each event that the store makes. */
export function changeEvents({ store }: NaiveLog, change: (event: LogEvent) => LogEvent): void {
  store.make = (draft) => change(Store.make.call(store, draft))
}

/** Breaks a store when a second node is opened over it. */
export function onReopen(spoil: (store: NaiveStore, log: NaiveLog) => void): (log: NaiveLog) => void {
  const stores = new WeakSet<NaiveStore>()
  return (log) => {
    if (stores.has(log.store)) spoil(log.store, log)
    stores.add(log.store)
  }
}
