import { report } from './environment.ts'
import type { HubEvent } from './hub-event.ts'
import type { HubStream, Lifecycle } from './hub-stream.ts'
import { StreamError } from './stream-end.ts'

type Handler = (value: never) => unknown

/** The handlers of a stream. */
export interface Listeners<Events extends object> {
  readonly on: HubStream<Events>['on']
  readonly onEvent: HubStream<Events>['onEvent']
  readonly once: HubStream<Events>['once']
  /** Calls the handlers of an event. Returns a promise, which never rejects, if the next event has to wait. */
  dispatch(event: HubEvent): Promise<unknown> | undefined
  /** Calls the handlers of the lifecycle; nothing waits for them. */
  emit<Name extends keyof Lifecycle>(name: Name, value: Lifecycle[Name]): void
}

export function listenersOf<Events extends object>(): Listeners<Events> {
  /** The key of an event has a colon before its name; the keys of the lifecycle and `*` have none. */
  const handlers = new Map<string, Set<Handler>>()

  const add = (key: string, handler: Handler) => {
    // The same function may be added twice, and removed once.
    const own: Handler = (value) => handler(value)
    const keyed = handlers.get(key) ?? new Set()
    handlers.set(key, keyed.add(own))
    return () => {
      keyed.delete(own)
    }
  }

  const call = (key: string, value: unknown): Promise<unknown>[] => {
    const onFailure = (cause: unknown): void => {
      const error = new StreamError('handler', cause)
      if (key !== 'error' && handlers.get('error')?.size) void call('error', error)
      else report(error)
    }
    const pending: Promise<unknown>[] = []
    for (const handler of [...(handlers.get(key) ?? [])]) {
      try {
        const result = handler(value as never)
        if (result instanceof Promise) pending.push(result.catch(onFailure))
      } catch (cause) {
        onFailure(cause)
      }
    }
    return pending
  }

  const on = (name: string, handler: Handler) =>
    add(/^(\*|gap|state|close|error)$/.test(name) ? name : `:${name}`, handler)

  return {
    on,
    onEvent: (name: string, handler: Handler) => add(`:${name}`, handler),
    once(name: string, handler: Handler) {
      const remove = on(name, (value) => {
        remove()
        return handler(value)
      })
      return remove
    },
    dispatch(event) {
      const pending = call(`:${event.name}`, event)
      if (!/^hub\./.test(event.name)) pending.push(...call('*', event))
      return pending.length ? Promise.all(pending) : undefined
    },
    emit: call
  }
}
