/**
 * Counts by name that the processes of one server share, so that a limit holds over all of them. A change of another process is
 * known here a moment later: until then both may accept the last one.
 */
export interface SharedCounts {
  /** Changes the count of this process. */
  add(name: string, change: number): void
  /** The sum of the counts of all other processes. */
  elsewhere(name: string): number
}
