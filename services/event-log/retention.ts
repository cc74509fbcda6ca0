/** What a log keeps. Each bound is hard; what goes first is always the oldest of a channel. */
export interface Retention {
  /** Events kept for each user. */
  readonly user: number
  /** Events kept for each topic. */
  readonly topic: number
  /** Events kept of those for everyone. */
  readonly broadcast: number
  /** How long an event is kept, in milliseconds. */
  readonly age: number
  /** Bytes kept for each channel, whatever the number of its events; its newest event is kept in any case. */
  readonly channelBytes: number
  /** Bytes kept in all. When it is reached, the channel that holds about the most gives. */
  readonly bytes: number
}
