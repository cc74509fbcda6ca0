/** A promise that records whether code waits for it. Its rejection never ends the process: its creator handles it. */
export class WatchedPromise<Value> extends Promise<Value> {
  isAwaited = false

  /** Chained promises are ordinary ones. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** Follows another promise. `onUnawaited` receives its error one turn of the event loop later, if no code waits by then. */
  static of<Value>(followed: Promise<Value>, onUnawaited: (error: unknown) => void): WatchedPromise<Value> {
    const watched = new WatchedPromise<Value>((resolve) => resolve(followed))
    Promise.prototype.then.call(watched, undefined, (error) => {
      setImmediate(() => {
        if (!watched.isAwaited) onUnawaited(error)
      })
    })
    return watched
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  override then<Result = Value, Failure = never>(
    onFulfilled?: ((value: Value) => Result | PromiseLike<Result>) | null,
    onRejected?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null
  ): Promise<Result | Failure> {
    this.isAwaited = true
    return super.then(onFulfilled, onRejected)
  }
}
