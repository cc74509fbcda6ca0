import type { Welcome } from '../../services/events/hub-frames.ts'
import type { StreamState } from '../hub-stream.ts'
import type { EndReason } from '../stream-end.ts'

/** An event of the leader's stream, and its place: the id of the block before it that had one. */
export interface Entry {
  readonly after: string | undefined
  readonly name: string
  readonly text: string
  readonly id: string | undefined
  readonly isReplayed: boolean
}

/** The state of the leader's stream: an error does not keep its properties in a message. */
export interface SentState {
  readonly name: StreamState['name']
  readonly reason: EndReason | undefined
  readonly nextAttempt: number | undefined
  readonly error: { readonly code: string; readonly message: string; readonly status: number | undefined } | undefined
}

/** The messages between the tabs that share a stream. `to` names the only tab that a message is for. */
export type Message =
  /** A tab leads from now on. */
  | { readonly type: 'leader' }
  /** A follower tells the leader its topics. */
  | { readonly type: 'hello'; readonly tab: string; readonly topics: readonly string[] }
  /** A follower misses what came after `from`. */
  | { readonly type: 'missing'; readonly tab: string; readonly from: string | undefined }
  | { readonly type: 'ping' }
  /** The leader's stream: its state, the topics of all tabs, and its newest id. */
  | {
      readonly type: 'state'
      readonly to?: string | undefined
      readonly state: SentState
      readonly welcome: Welcome | undefined
      readonly topics: readonly string[]
      readonly at: string | undefined
    }
  | { readonly type: 'entries'; readonly to?: string | undefined; readonly entries: readonly Entry[] }
  /** The leader no longer has the entries that a follower misses: it has to read them from the hub. */
  | { readonly type: 'history'; readonly to: string }
