import type { Handler } from './handlers.ts'

/**
 * Iterates events. At most one event waits for the consumer, and the stream reads no further before the consumer asks for the
 * next one: then the event counts as handled.
 */
export class EventIterator<Event> implements AsyncIterableIterator<Event> {
  readonly #remove: () => void
  readonly #takers: { resolve: (result: IteratorResult<Event>) => void; reject: (error: unknown) => void }[] = []
  #waiting: Event | undefined
  #handled: (() => void) | undefined
  #end: { readonly error: unknown } | undefined

  /** @param add adds a handler of the events, and returns a function that removes it */
  constructor(add: (handler: Handler<Event>) => () => void) {
    this.#remove = add((event) => this.#offer(event))
  }

  next(): Promise<IteratorResult<Event>> {
    const event = this.#waiting
    if (event !== undefined) {
      this.#waiting = undefined
      return Promise.resolve({ value: event, done: false })
    }
    this.#release()
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject })
      if (this.#end !== undefined) this.end(this.#end.error)
    })
  }

  return(): Promise<IteratorResult<Event>> {
    this.#waiting = undefined
    this.end(undefined)
    return Promise.resolve({ value: undefined, done: true })
  }

  /** The stream has ended; its last event may still wait. */
  end(error: unknown): void {
    this.#end ??= { error }
    this.#remove()
    this.#release()
    for (const { resolve, reject } of this.#takers.splice(0)) {
      if (this.#end.error === undefined) resolve({ value: undefined, done: true })
      else reject(this.#end.error)
    }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #offer(event: Event): Promise<void> {
    const taker = this.#takers.shift()
    if (taker === undefined) this.#waiting = event
    else taker.resolve({ value: event, done: false })
    return new Promise((handled) => {
      this.#handled = handled
    })
  }

  #release(): void {
    this.#handled?.()
    this.#handled = undefined
  }
}
