import type { GapReason } from '../services/events/gap-reason.ts'
import type { Welcome } from '../services/events/hub-frames.ts'
import type { HubEvent } from './hub-event.ts'
import type { EndReason, StreamError } from './stream-end.ts'

/** A map from event name to payload: the same type as that of the server. */
export type EventMap = Record<string, unknown>

/** Part of the history after `from` is missing. `oldest` is the id of the first event that remains. */
export interface Gap {
  readonly from: string | null
  readonly oldest: string | null
  readonly reason: GapReason
}

export interface StreamState {
  /**
   * - `connecting`: a request is on its way.
   * - `open`: the stream is subscribed.
   * - `waiting`: the next attempt is at `nextAttempt`.
   * - `closed`: the stream has ended for good.
   */
  readonly name: 'connecting' | 'open' | 'waiting' | 'closed'
  /** Why the last attempt ended; undefined before the first end. */
  readonly reason?: EndReason | undefined
  /** The failure of the last attempt, with its HTTP status if there was an answer. */
  readonly error?: StreamError | undefined
  /** When the client returns, in milliseconds since the Unix epoch. */
  readonly nextAttempt?: number | undefined
}

export interface StreamCounters {
  /** Requests for the stream. */
  readonly attempts: number
  /** Attempts that led to an open stream. */
  readonly opened: number
  /** Events of publishers and of the hub's log, replayed ones included. */
  readonly events: number
  /** Events that the stream had missed. */
  readonly replayed: number
  readonly gaps: number
  /** Bytes of the responses, after decompression. */
  readonly bytes: number
}

/** The reports of a stream about itself. These names are not names of events in `on()`; `onEvent()` hears such events. */
export interface Lifecycle {
  readonly gap: Gap
  /** Every change of the state. */
  readonly state: StreamState
  /** The stream has ended for good. */
  readonly close: StreamState
  /** A failed attempt, or a handler that threw (code `handler`): neither ends the stream. */
  readonly error: StreamError
}

/** The events of the hub itself. */
export interface OwnEvents {
  readonly 'hub.welcome': Welcome
  readonly 'hub.heartbeat': ''
  readonly 'hub.gap': Gap
  readonly 'hub.topics': { readonly topics: readonly string[] }
  readonly 'hub.unread': { readonly unread: number }
  readonly 'hub.read': { readonly upTo: string; readonly unread: number }
  readonly 'hub.retract': { readonly id: string }
  readonly 'hub.close': { readonly reason: string; readonly reconnect: boolean }
}

export type DataOf<Events extends object, Name extends string> = Name extends keyof OwnEvents
  ? OwnEvents[Name]
  : Name extends keyof Events
    ? Events[Name]
    : unknown

/** The names that a handler may wait for; any name without an event map. */
export type EventName<Events extends object> =
  | (string extends keyof Events ? string : Extract<keyof Events, string>)
  | keyof OwnEvents

/** Any event of publishers. With an event map, its name tells the type of its data. */
export type AnyEvent<Events extends object> = string extends keyof Events
  ? HubEvent
  : { [Name in keyof Events & string]: HubEvent<Events[Name], Name> }[keyof Events & string]

/** A stream of a hub that returns by itself, and resumes where its handlers were. */
export interface HubStream<Events extends object = EventMap> extends AsyncIterable<AnyEvent<Events>> {
  readonly state: StreamState
  readonly counters: StreamCounters
  /** The newest `hub.welcome`. */
  readonly welcome: Welcome | undefined
  /** The cursor: the events up to it have been handled. */
  readonly lastEventId: string | undefined
  /**
   * Adds a handler, and returns a function that removes it. `*` stands for all events of publishers. The next event waits for a
   * handler that returns a promise. The cursor advances after the handlers.
   */
  on<Name extends keyof Lifecycle>(name: Name, handler: (value: Lifecycle[Name]) => unknown): () => void
  on(name: '*', handler: (event: AnyEvent<Events>) => unknown): () => void
  on<Name extends EventName<Events>>(
    name: Name,
    handler: (event: HubEvent<DataOf<Events, Name>, Name>) => unknown
  ): () => void
  /** Like `on`, for an event that bears one of the names `gap`, `state`, `close`, `*`, too. */
  onEvent<Name extends EventName<Events>>(
    name: Name,
    handler: (event: HubEvent<DataOf<Events, Name>, Name>) => unknown
  ): () => void
  /** Like `on`, for the next event alone. */
  once<Name extends keyof Lifecycle>(name: Name, handler: (value: Lifecycle[Name]) => unknown): () => void
  once(name: '*', handler: (event: AnyEvent<Events>) => unknown): () => void
  once<Name extends EventName<Events>>(
    name: Name,
    handler: (event: HubEvent<DataOf<Events, Name>, Name>) => unknown
  ): () => void
  /** The topics that the stream requests, also at its next attempt; `welcome.topics` has those of the identity, too. */
  readonly topics: readonly string[]
  /**
   * Requests topics, without opening the stream again: their events begin now. Rejects with a StreamError if the hub refuses
   * them, and then nothing has changed.
   */
  subscribe(topics: readonly string[]): Promise<void>
  unsubscribe(topics: readonly string[]): Promise<void>
  /**
   * Calls another route of the hub, with the credentials of the stream and a path relative to its URL: `me/events`. Resolves
   * with the JSON of the answer, and rejects with a StreamError.
   */
  request(method: string, path: string, body?: object): Promise<unknown>
  /** Ends the stream for good. */
  close(): void
  /** Ends a wait, or replaces an open connection; without a loss. */
  reconnectNow(): void
}
