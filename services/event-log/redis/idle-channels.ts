import type { Clock } from '../../clock.ts'
import type { Channel } from '../../events/channel.ts'

/** How long a channel without a listener stays registered, in milliseconds: a page that is reloaded comes back meanwhile. */
const GRACE = 30_000
/** How often channels are looked for whose time is over, in milliseconds. */
const SWEEP = 5_000
/** Max. number of channels without a listener that stay registered. */
const MAX_IDLE = 20_000

/** The registered channels without a listener, until their time is over. */
export class IdleChannels {
  readonly #clock: Clock
  readonly #onOver: (channel: Channel) => void
  /** When each lost its last listener, the oldest first. */
  readonly #since = new Map<Channel, number>()
  #stop: (() => void) | undefined

  constructor(clock: Clock, onOver: (channel: Channel) => void) {
    this.#clock = clock
    this.#onOver = onOver
  }

  add(channel: Channel): void {
    this.#since.set(channel, this.#clock.monotonic())
    if (this.#since.size > MAX_IDLE) this.#end(this.#since.keys().next().value as Channel)
    this.#stop ??= this.#clock.every(SWEEP, () => this.#sweep())
  }

  /** The channel has a listener again. */
  delete(channel: Channel): void {
    this.#since.delete(channel)
  }

  clear(): void {
    this.#since.clear()
    this.#stop?.()
    this.#stop = undefined
  }

  #sweep(): void {
    const horizon = this.#clock.monotonic() - GRACE
    for (const [channel, since] of this.#since) {
      if (since > horizon) break
      this.#end(channel)
    }
    if (this.#since.size === 0) this.clear()
  }

  #end(channel: Channel): void {
    this.#since.delete(channel)
    this.#onOver(channel)
  }
}
