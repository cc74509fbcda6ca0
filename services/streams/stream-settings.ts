import type { Clock } from '../clock.ts'
import type { WelcomeFunction } from './welcome-fields.ts'

/** The options of a hub that concern streams, with defaults filled in; see `HubOptions`. */
export interface StreamSettings {
  readonly heartbeatInterval: number
  readonly reconnectionTime: number
  readonly stallTimeout: number
  readonly maxStreamAge: number
  readonly welcome: boolean | WelcomeFunction
  readonly maxEventBytes: number
  readonly onlineCounts: boolean
  readonly maxTopics: number
  readonly maxStreams: number
  readonly maxStreamsPerUser: number
  readonly onUserLimit: 'replace' | 'reject'
  readonly maxStreamsPerAddress: number
  readonly openingRate: number
  readonly presenceGrace: number
  readonly clock: Clock
}
