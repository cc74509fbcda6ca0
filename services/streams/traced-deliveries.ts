import type { LogEvent } from '../events/log-event.ts'
import { type EventTracing, isSampled } from '../events/trace.ts'
import type { StreamRegistry } from './stream-registry.ts'

/** Max. number of deliveries that wait for the writes; the oldest ends when one more begins. */
const MAX_OPEN = 1_000

/** Reports the delivery of each sampled event, from its assignment to streams to the writes to those that are live. */
export class TracedDeliveries {
  readonly #tracing: EventTracing
  readonly #registry: Pick<StreamRegistry, 'countListeners'>
  readonly #open: (() => void)[] = []

  constructor(tracing: EventTracing, registry: Pick<StreamRegistry, 'countListeners'>) {
    this.#tracing = tracing
    this.#registry = registry
  }

  /** An event is about to be assigned to its streams. */
  onEvent(event: LogEvent): void {
    if (event.trace === undefined || !isSampled(event.trace)) return
    const streams = this.#registry.countListeners(event.channels, event.except)
    const end = streams === 0 ? undefined : this.#tracing.deliver(event, streams)
    if (end === undefined) return
    if (this.#open.length === MAX_OPEN) this.#open.shift()?.()
    this.#open.push(end)
  }

  /** No live stream has an event left to write. */
  onWritten(): void {
    if (this.#open.length === 0) return
    for (const end of this.#open.splice(0)) end()
  }
}
