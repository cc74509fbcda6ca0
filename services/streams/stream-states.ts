/** The number of streams in each state, and of those with events that are about to be written. */
export interface StreamStates {
  readonly replaying: number
  readonly live: number
  readonly backpressured: number
  readonly pending: number
}

interface Observed {
  readonly state: 'replaying' | 'live' | 'backpressured' | 'closed'
  readonly isPending: boolean
}

/** Counts the streams of a node. Takes about a millisecond for 50,000 streams. */
export function countStates(streams: Iterable<Observed>): StreamStates {
  const counts = { replaying: 0, live: 0, backpressured: 0, closed: 0 }
  let pending = 0
  for (const { state, isPending } of streams) {
    counts[state]++
    if (isPending) pending++
  }
  const { replaying, live, backpressured } = counts
  return { replaying, live, backpressured, pending }
}
