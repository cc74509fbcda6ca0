import type { ReadResult } from '../event-log/event-log.ts'
import { type Cursor, isSameEpoch } from '../events/cursor.ts'

/**
 * The topics that a replaying stream has subscribed to and not reached yet. A read leaves a topic out until the position has
 * reached the topic's start, so that no earlier event is delivered, and none that was evicted earlier is a gap.
 */
export class TopicStarts {
  readonly #starts = new Map<string, Cursor>()

  add(topics: readonly string[], start: Cursor): void {
    for (const topic of topics) this.#starts.set(topic, start)
  }

  delete(topics: readonly string[]): void {
    for (const topic of topics) this.#starts.delete(topic)
  }

  /** The position of the stream: topics that start there, or before, are no longer waited for. */
  reach(position: Cursor | undefined): void {
    if (position === undefined) return
    for (const [topic, start] of this.#starts) {
      if (isSameEpoch(start, position) && start.seq <= position.seq) this.#starts.delete(topic)
    }
  }

  /** The topics whose start the stream has reached. */
  begun(topics: readonly string[]): readonly string[] {
    return this.#starts.size === 0 ? topics : topics.filter((topic) => !this.#starts.has(topic))
  }

  /** A page that ends at the next start, if it would go beyond: the new topic belongs to the pages after it. */
  cut(page: ReadResult): ReadResult {
    let next: Cursor | undefined
    for (const start of this.#starts.values()) {
      if (isSameEpoch(start, page.next) && start.seq < (next ?? page.next).seq) next = start
    }
    if (next === undefined) return page
    const { seq } = next
    const events = page.events.filter(({ cursor }) => (cursor?.seq ?? 0) <= seq)
    return { ...page, events, next, remaining: Math.max(1, page.remaining + page.events.length - events.length) }
  }

  /** After a discontinuity, a start that the log does not have counts as reached: all that the log retains is new. */
  restart(head: Cursor): void {
    for (const [topic, start] of this.#starts) {
      if (!isSameEpoch(start, head) || start.seq > head.seq) this.#starts.delete(topic)
    }
  }
}
