import { report } from './environment.ts'
import { EventIterator } from './event-iterator.ts'
import { type Handler, Handlers } from './handlers.ts'
import type { HubEvent } from './hub-event.ts'
import type { AnyEvent, HubStream, Lifecycle } from './hub-stream.ts'
import { StreamError } from './stream-end.ts'

const LIFECYCLE: ReadonlySet<string> = new Set(['gap', 'state', 'close', 'error'] satisfies (keyof Lifecycle)[])
const ALL = '*'

/** The handlers and iterators of a stream. */
export class StreamListeners<Events extends object> {
  readonly #iterators = new Set<EventIterator<AnyEvent<Events>>>()
  #end: { readonly error: StreamError | undefined } | undefined
  /** The key of an event has a colon before its name, that of the lifecycle has none. */
  readonly #handlers = new Handlers((cause, key) => {
    const error = new StreamError('handler', `a handler of ${key.replace(':', '')} failed: ${cause}`, { cause })
    if (key !== 'error' && this.#handlers.has('error')) void this.#handlers.call('error', error)
    else report(error)
  })

  readonly on: HubStream<Events>['on'] = (name: string, handler: Handler<never>) =>
    this.#handlers.add(name === ALL || LIFECYCLE.has(name) ? name : `:${name}`, handler)

  readonly onEvent: HubStream<Events>['onEvent'] = (name: string, handler: Handler<never>) =>
    this.#handlers.add(`:${name}`, handler)

  readonly once: HubStream<Events>['once'] = (name: string, handler: Handler<never>) => {
    const remove = this.on(name as never, (value) => {
      remove()
      return handler(value as never)
    })
    return remove
  }

  iterate(): AsyncIterator<AnyEvent<Events>> {
    const iterator: EventIterator<AnyEvent<Events>> = new EventIterator<AnyEvent<Events>>((handler) => {
      const remove = this.#handlers.add(ALL, handler)
      return () => {
        remove()
        this.#iterators.delete(iterator)
      }
    })
    this.#iterators.add(iterator)
    if (this.#end !== undefined) iterator.end(this.#end.error)
    return iterator
  }

  /** Calls the handlers of an event. Returns a promise if the next event has to wait. */
  dispatch(event: HubEvent): Promise<unknown> | undefined {
    const own = this.#handlers.call(`:${event.name}`, event)
    if (event.name.startsWith('hub.')) return own
    const all = this.#handlers.call(ALL, event)
    return own === undefined ? all : all === undefined ? own : Promise.all([own, all])
  }

  /** Calls the handlers of the lifecycle. Their promises, which never reject, delay nothing. */
  emit<Name extends keyof Lifecycle>(name: Name, value: Lifecycle[Name]): void {
    void this.#handlers.call(name, value)
  }

  /** The stream has ended for good. */
  end(error: StreamError | undefined): void {
    this.#end = { error }
    for (const iterator of this.#iterators) iterator.end(error)
  }
}
