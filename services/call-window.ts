import type { Clock } from './clock.ts'
import type { SharedCounts } from './shared-counts.ts'

/** In milliseconds. */
const LENGTH = 1_000

export interface CallWindowOptions {
  readonly clock: Clock
  /** Counts of other processes that count as well. */
  readonly counts?: SharedCounts | undefined
  /** The names of these counts begin with it. */
  readonly prefix: string
}

/** Counts by name within windows of a second, over all processes that share the counts. */
export class CallWindow {
  readonly #options: CallWindowOptions
  readonly #own = new Map<string, number>()
  #end = Number.NEGATIVE_INFINITY

  constructor(options: CallWindowOptions) {
    this.#options = options
  }

  /** Milliseconds until the counts of this process begin at zero again. */
  get rest(): number {
    this.#turn()
    return Math.ceil(this.#end - this.#options.clock.monotonic())
  }

  add(name: string): number {
    this.#turn()
    this.#own.set(name, (this.#own.get(name) ?? 0) + 1)
    this.#options.counts?.add(this.#options.prefix + name, 1)
    return this.count(name)
  }

  count(name: string): number {
    this.#turn()
    return (this.#own.get(name) ?? 0) + (this.#options.counts?.elsewhere(this.#options.prefix + name) ?? 0)
  }

  #turn(): void {
    const now = this.#options.clock.monotonic()
    if (now < this.#end) return
    this.#clear()
    this.#end = now + LENGTH
    // The other processes must not wait for the next call here.
    if (this.#options.counts !== undefined) setTimeout(() => this.#clear(), LENGTH).unref()
  }

  #clear(): void {
    const { counts, prefix } = this.#options
    if (counts !== undefined) for (const [name, count] of this.#own) counts.add(prefix + name, -count)
    this.#own.clear()
  }
}
