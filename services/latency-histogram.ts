/** Upper bounds of the buckets in milliseconds. */
export const LATENCY_BOUNDS = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000
] as const

/** How many durations were at most so long, for a few bounds. */
export class LatencyHistogram {
  /** The count of each bucket; the last one is of durations above all bounds. */
  readonly counts: number[] = Array.from({ length: LATENCY_BOUNDS.length + 1 }, () => 0)
  /** In milliseconds. */
  sum = 0
  count = 0

  observe(milliseconds: number): void {
    let at = 0
    while (at < LATENCY_BOUNDS.length && milliseconds > (LATENCY_BOUNDS[at] as number)) at++
    this.counts[at] = (this.counts[at] as number) + 1
    this.sum += milliseconds
    this.count++
  }
}
