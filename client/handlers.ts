/** Returns a promise if the next event has to wait for it. */
export type Handler<Value> = (value: Value) => unknown

/** Handlers by key, called in the order in which they were added. */
export class Handlers {
  readonly #byKey = new Map<string, Set<Handler<never>>>()
  readonly #onFailure: (error: unknown, key: string) => void

  constructor(onFailure: (error: unknown, key: string) => void) {
    this.#onFailure = onFailure
  }

  add<Value>(key: string, handler: Handler<Value>): () => void {
    // The same function may be added twice, and removed once.
    const own: Handler<Value> = (value) => handler(value)
    const handlers = this.#byKey.get(key) ?? new Set()
    this.#byKey.set(key, handlers.add(own))
    return () => {
      handlers.delete(own)
      if (handlers.size === 0 && this.#byKey.get(key) === handlers) this.#byKey.delete(key)
    }
  }

  has(key: string): boolean {
    return this.#byKey.has(key)
  }

  /** Calls the handlers. Returns a promise, which never rejects, only if one of them did. */
  call(key: string, value: unknown): Promise<unknown> | undefined {
    const promises: Promise<unknown>[] = []
    for (const handler of [...(this.#byKey.get(key) ?? [])]) {
      try {
        const result = handler(value as never)
        if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function')
          promises.push(Promise.resolve(result).catch((error) => this.#onFailure(error, key)))
      } catch (error) {
        this.#onFailure(error, key)
      }
    }
    return promises.length === 0 ? undefined : Promise.all(promises)
  }
}
