import type { PresenceChange } from '../cluster/cluster.ts'
import type { HubEvents } from './hub-events.ts'

/** Emits the changes of presence that the cluster reports to this node. */
export class PresenceReporter {
  readonly #events: HubEvents
  readonly #manager: { readonly drainGrace: number }

  constructor(events: HubEvents, manager: { readonly drainGrace: number }) {
    this.#events = events
    this.#manager = manager
  }

  get drainGrace(): number {
    return this.#manager.drainGrace
  }

  get isWatching(): boolean {
    return this.#events.has('online') || this.#events.has('offline')
  }

  report(changes: readonly PresenceChange[]): void {
    for (const { user, isOnline, at } of changes) {
      this.#events.emit(isOnline ? 'online' : 'offline', { user, at: new Date(at).toISOString() })
    }
  }
}
