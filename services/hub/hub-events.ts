import { EventEmitter } from 'node:events'
import type { CloseReason } from '../events/close-reason.ts'
import type { Logger } from '../logger.ts'
import { isPromiseLike } from '../promise-like.ts'
import type { Stream } from '../streams/stream.ts'

/**
 * An event that was accepted for a user who had no open stream at that moment, on any node: it stays in the user's history.
 * While other nodes cannot be reached, nothing is emitted, because the user may be online there.
 */
export interface Undelivered {
  readonly user: string
  /** The event's cursor, or null if it was transient: then no history has it. */
  readonly id: string | null
  readonly event: string
  readonly data: string
}

/** An event that stayed unread in inboxes for `unreadAfter`. */
export interface Unread {
  /** Those users of the event who have not read it. */
  readonly users: readonly string[]
  /** The event's cursor. */
  readonly id: string
  readonly event: string
  readonly data: string
}

/** A user came online, or went offline: over all nodes. */
export interface PresenceEvent {
  readonly user: string
  /**
   * ISO 8601: when the user's first stream was opened, or when the leave grace ended after the last one was closed.
   */
  readonly at: string
}

/** The events that a hub emits to its host. */
export interface HubEventMap {
  /** A stream was opened. */
  open: [stream: Stream]
  /** A stream was closed; see {@link CloseReason}. */
  close: [stream: Stream, reason: CloseReason]
  /** A user who was offline has opened a stream. Emitted once, by one node. */
  online: [presence: PresenceEvent]
  /**
   * A user has had no stream on any node for longer than `presenceGrace`. Emitted once, by one node. A page that is reloaded, or
   * a client that returns to another node, is silent.
   */
  offline: [presence: PresenceEvent]
  /** An event reached no stream of a user; the host may send an e-mail or a web push instead. */
  undelivered: [event: Undelivered]
  /**
   * An event has been unread in inboxes for the option `unreadAfter`, which is required for it. Emitted by one of the nodes that
   * have a listener, in the order of the events, and after a restart as well. A node that ends at this moment may have it
   * emitted again, with the same `id`.
   */
  unread: [event: Unread]
}

/** Typed events. The error of a listener, thrown or rejected with, is logged; the other listeners are called. */
export class HubEvents {
  readonly #emitter = new EventEmitter()
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  on<Name extends keyof HubEventMap>(name: Name, listener: (...args: HubEventMap[Name]) => unknown): void {
    this.#emitter.on(name, listener as (...args: unknown[]) => void)
  }

  off<Name extends keyof HubEventMap>(name: Name, listener: (...args: HubEventMap[Name]) => unknown): void {
    this.#emitter.off(name, listener as (...args: unknown[]) => void)
  }

  has(name: keyof HubEventMap): boolean {
    return this.#emitter.listenerCount(name) > 0
  }

  emit<Name extends keyof HubEventMap>(name: Name, ...args: HubEventMap[Name]): void {
    for (const listener of this.#emitter.listeners(name)) {
      try {
        const result: unknown = listener(...args)
        if (isPromiseLike(result)) Promise.resolve(result).catch((error) => this.#report(name, error))
      } catch (error) {
        this.#report(name, error)
      }
    }
  }

  #report(name: string, error: unknown): void {
    this.#logger.error({ err: error }, `a listener of the hub's "${name}" event failed`)
  }
}
