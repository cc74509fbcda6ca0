import type { LogEvent } from '../events/log-event.ts'
import type { EventTracing } from '../events/trace.ts'
import type { StreamRegistry } from './stream-registry.ts'
import { TracedDeliveries } from './traced-deliveries.ts'
import { WriteLatency } from './write-latency.ts'

/** The part of the delivery queue that observers need. */
interface ObservedQueue {
  readonly isPending: boolean
  onWritten: (() => void) | undefined
}

/** Observes events from their assignment to streams to the last write: once for each event, so that a delivery costs no more. */
export class DeliveryObservers {
  readonly #queue: ObservedQueue
  #latency: WriteLatency | undefined
  #traced: TracedDeliveries | undefined

  constructor(queue: ObservedQueue) {
    this.#queue = queue
  }

  /**
   * Measures from now on how long events take until they are written.
   * @param now the monotonic time in milliseconds.
   */
  measureWrites(now: () => number): WriteLatency {
    this.#latency ??= new WriteLatency(now)
    this.#observeWrites()
    return this.#latency
  }

  /** Reports the deliveries of events with a trace from now on. */
  trace(tracing: EventTracing, registry: StreamRegistry): void {
    this.#traced = new TracedDeliveries(tracing, registry)
    this.#observeWrites()
  }

  /** An event is about to be assigned to its streams. */
  onEvent(event: LogEvent): void {
    this.#traced?.onEvent(event)
    this.#latency?.onEvent(event)
  }

  /** The event is assigned. */
  onAssigned(): void {
    if (this.#queue.isPending) this.#latency?.onPending()
    else this.#traced?.onWritten()
  }

  #observeWrites(): void {
    this.#queue.onWritten ??= () => {
      this.#latency?.onWritten()
      this.#traced?.onWritten()
    }
  }
}
