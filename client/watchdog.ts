import type { Clock } from './clock.ts'

/** Intervals without a byte after which the stream counts as dead. */
const PATIENCE = 2.5
/** How long a timer may be late before the device counts as having slept: then bytes may wait that were not read yet. */
const LATE = 2_000
/** The time in which such bytes are read. */
const GRACE = 2_000

/** Notices that nothing comes any more. */
export class Watchdog {
  readonly #clock: Clock
  readonly #bite: () => void
  #patience: number
  #lastSeen: number
  #stop: (() => void) | undefined

  /** @param bound the longest silence, in milliseconds, until the hub names its heartbeat interval */
  constructor(clock: Clock, bound: number, bite: () => void) {
    this.#clock = clock
    this.#bite = bite
    this.#patience = bound
    this.#lastSeen = clock.monotonic()
    this.#arm()
  }

  /** The heartbeat interval of the stream, in milliseconds; 0 if it has no heartbeats. */
  set interval(interval: number) {
    this.#patience = interval * PATIENCE
    this.restart()
  }

  /** Begins anew, after a time in which nothing was read. */
  restart(): void {
    this.stop()
    this.seen()
    this.#arm()
  }

  seen(): void {
    this.#lastSeen = this.#clock.monotonic()
  }

  /** The device may have slept: decides within a short time. */
  check(): void {
    if (this.#stop === undefined) return
    this.stop()
    if (this.#silence >= this.#patience) this.#arm(GRACE)
    else this.#arm()
  }

  stop(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  get #silence(): number {
    return this.#clock.monotonic() - this.#lastSeen
  }

  #arm(wait = Math.max(0, this.#patience - this.#silence)): void {
    if (this.#patience === 0) return
    const due = this.#clock.monotonic() + wait
    this.#stop = this.#clock.after(wait, () => {
      if (this.#silence < this.#patience) this.#arm()
      else if (this.#clock.monotonic() - due > LATE) this.#arm(GRACE)
      else this.#bite()
    })
  }
}
