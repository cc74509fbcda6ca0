import type { ReadQuery } from '../../services/event-log/event-log.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'
import { NaiveLog, NaiveStore, NaiveTail } from '../event-log/naive-log.ts'

/** A log with one fault, and the test of the contract that has to catch it. */
export interface BrokenLog {
  readonly fault: string
  readonly caughtBy: string
  readonly spoil: (log: NaiveLog) => void
  /** It shows only in what does not come, however long one waits. Every other fault shows by itself. */
  readonly showsBy?: 'waiting'
}

/** What the faults have left running. */
export const leftovers: NodeJS.Timeout[] = []

export function clearLeftovers(): void {
  for (const timer of leftovers.splice(0)) clearInterval(timer)
}

export const Store = NaiveStore.prototype
export const Log = NaiveLog.prototype
export const Tail = NaiveTail.prototype

export const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Wraps what one node hands to its tails. */
export function handing(log: NaiveLog, change: (events: LogEvent[], tail: NaiveTail) => LogEvent[]): void {
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

/** Changes what a reader asks. */
export function asking({ store }: NaiveLog, change: (query: ReadQuery) => ReadQuery): void {
  store.read = (query) => Store.read.call(store, change(query))
}

/** Changes what a draft is before it is taken. */
export function renamed(draft: NewEvent, rename: (key: string) => string): NewEvent {
  const { idempotency } = draft
  return { ...draft, idempotency: idempotency && { ...idempotency, key: rename(idempotency.key) } }
}

export function taking({ store }: NaiveLog, change: (draft: NewEvent) => NewEvent): void {
  store.accept = (draft) => Store.accept.call(store, change(draft))
}

/** Changes an event as it is made. */
export function making({ store }: NaiveLog, change: (event: LogEvent) => LogEvent): void {
  store.make = (draft) => change(Store.make.call(store, draft))
}

/** Spoils a store when a second node is opened over it. */
export function again(spoil: (store: NaiveStore, log: NaiveLog) => void): (log: NaiveLog) => void {
  const stores = new WeakSet<NaiveStore>()
  return (log) => {
    if (stores.has(log.store)) spoil(log.store, log)
    stores.add(log.store)
  }
}
