import type { LatencyHistogram } from '../latency-histogram.ts'

/** A self-reconnecting Redis connection, for the event log and all other state that nodes share. */
export interface RedisLink {
  /** Whether a command would be sent now. */
  readonly isUp: boolean
  /** How long the last command took, in milliseconds; 0 before the first one. */
  readonly roundTrip: number
  /** The durations of all commands with a reply so far. */
  readonly roundTrips: LatencyHistogram
  /** The reason why it is not up, without secrets; empty while it is. */
  readonly problem: string
  /** The name of a key of this hub. All keys of a hub share one slot, so that a cluster keeps them on one node. */
  key(name: string): string
  /**
   * Sends a command at once, or not at all: no command is queued until Redis is back.
   * @throws {LinkError} without a reply; `wasSent` says whether Redis may have executed the command nevertheless.
   * @throws {RedisReplyError} when the reply is an error.
   */
  send(args: readonly RedisArgument[]): Promise<unknown>
  /**
   * Runs a script. Its text is sent with the first call after a connection is established, and again if Redis has forgotten it.
   * The key selects the node of a cluster.
   */
  run(script: LuaScript, key: string, args: readonly RedisArgument[], onMissing?: OnMissing): Promise<unknown>
  /** Resolves when it is up; rejects with a {@link LinkError} after the given number of milliseconds, or when it is closed. */
  untilUp(milliseconds: number): Promise<void>
  /** Calls the listener each time that it comes up, and at once if it is up. Returns a function that removes the listener. */
  onUp(listener: () => void): () => void
  /** Calls the listener each time that it goes down. Returns a function that removes the listener. */
  onDown(listener: (problem: string) => void): () => void
  /** Replaces the current connection, for callers that know that it is unusable although it answers. */
  renew(problem: string): void
  /**
   * Opens another connection to the same Redis; the caller closes it.
   * @param blocking how long its commands may block, in milliseconds; added to the reply timeout.
   */
  duplicate(options?: { readonly blocking?: number | undefined }): RedisLink
  /** Closes it and rejects all commands without a reply. */
  close(): void
}

/** Decides whether and when the text of a script that Redis has forgotten is sent again. */
export type OnMissing = (send: () => Promise<unknown>) => Promise<unknown>

export type RedisArgument = string | Buffer

export interface LuaScript {
  readonly source: string
  readonly sha1: string
}

/** A command got no reply. */
export class LinkError extends Error {
  /** Whether the command was sent: then Redis may have executed it. */
  readonly wasSent: boolean

  constructor(message: string, wasSent: boolean) {
    super(message)
    this.name = 'LinkError'
    this.wasSent = wasSent
  }
}

/** Redis replied with an error: `OOM …`, `READONLY …`. The command had no effect. */
export class RedisReplyError extends Error {
  /** The first word, which says what kind of error it is. */
  readonly kind: string

  constructor(message: string) {
    super(message)
    this.name = 'RedisReplyError'
    this.kind = message.split(' ', 1)[0] as string
  }
}
