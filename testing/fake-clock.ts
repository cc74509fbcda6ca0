import type { Clock } from '../services/clock.ts'

/**
 * A clock that the test advances, with seeded random numbers: pass it as the option `clock` of the hub. Heartbeats, reconnection
 * times and ages then depend on `advance()` alone.
 */
export class FakeClock implements Clock {
  /** Milliseconds since the Unix epoch; a test may set it, as an operator sets the clock of a machine. */
  wall: number
  #elapsed = 0
  readonly #timers = new Set<{ interval: number; next: number; tick: () => void }>()
  #seed: number

  constructor({ wall = Date.UTC(2026, 0, 1), seed = 1 }: { wall?: number; seed?: number } = {}) {
    this.wall = wall
    this.#seed = seed
  }

  now(): number {
    return this.wall
  }

  monotonic(): number {
    return this.#elapsed
  }

  every(interval: number, tick: () => void): () => void {
    const timer = { interval, next: this.#elapsed + interval, tick }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Number of running timers. */
  get timers(): number {
    return this.#timers.size
  }

  /** mulberry32: the same seed gives the same numbers. */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** Advances time; every timer that falls due meanwhile ticks, in order. */
  advance(milliseconds: number): void {
    const until = this.#elapsed + milliseconds
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.next <= until).sort((a, b) => a.next - b.next)[0]
      if (due === undefined) break
      // After the event loop was blocked, a timer ticks late, and once.
      this.#pass(Math.max(0, due.next - this.#elapsed))
      due.next = Math.max(due.next, this.#elapsed) + due.interval
      due.tick()
    }
    this.#pass(until - this.#elapsed)
  }

  /** Advances time without a tick, as when the event loop is blocked. */
  block(milliseconds: number): void {
    this.#pass(milliseconds)
  }

  #pass(milliseconds: number): void {
    this.#elapsed += milliseconds
    this.wall += milliseconds
  }
}
