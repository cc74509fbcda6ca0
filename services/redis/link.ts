/** A line to Redis that mends itself: what the event log, and whatever else the nodes share, speak through. */
export interface RedisLink {
  /** Whether a command would be sent now. */
  readonly isUp: boolean
  /** Why it is not up, in words without secrets; empty while it is. */
  readonly problem: string
  /** The name of a key of this hub. All keys of a hub lie in one slot, so that a cluster keeps them on one node. */
  key(name: string): string
  /**
   * Sends a command at once, or not at all: nothing is parked until Redis is back.
   * @throws {LinkError} when there was no answer; `wasSent` says whether Redis may have done it all the same.
   * @throws {RedisReplyError} when the answer is an error.
   */
  send(args: readonly RedisArgument[]): Promise<unknown>
  /** Runs a script, and hands it over to Redis if it is not known there. The first key decides about the node of a cluster. */
  run(script: LuaScript, key: string, args: readonly RedisArgument[], onMissing?: OnMissing): Promise<unknown>
  /** Resolves when it is up; rejects with a {@link LinkError} after so many milliseconds, or when it is closed. */
  untilUp(milliseconds: number): Promise<void>
  /** Calls the listener each time that it comes up, and at once if it is. Returns what ends that. */
  onUp(listener: () => void): () => void
  /** Calls the listener each time that it goes down. Returns what ends that. */
  onDown(listener: (problem: string) => void): () => void
  /** Gives the line up, and takes another: for whoever knows that it is no good, though it answers. */
  renew(problem: string): void
  /**
   * Another line to the same Redis, closed by whoever asked for it.
   * @param blocking how long its commands may block, in milliseconds: so much longer it may be silent.
   */
  duplicate(options?: { readonly blocking?: number | undefined }): RedisLink
  /** Ends it: what waits for an answer is rejected. */
  close(): void
}

/** Decides when a script that Redis does not know is handed over, if it is. */
export type OnMissing = (send: () => Promise<unknown>) => Promise<unknown>

export type RedisArgument = string | Buffer

export interface LuaScript {
  readonly source: string
  readonly sha1: string
}

/** There was no answer. */
export class LinkError extends Error {
  /** Whether the command was on its way: then it may have been done. */
  readonly wasSent: boolean

  constructor(message: string, wasSent: boolean) {
    super(message)
    this.name = 'LinkError'
    this.wasSent = wasSent
  }
}

/** Redis answered with an error: `OOM …`, `READONLY …`. Nothing was done. */
export class RedisReplyError extends Error {
  /** The first word, which says what kind of error it is. */
  readonly kind: string

  constructor(message: string) {
    super(message)
    this.name = 'RedisReplyError'
    this.kind = message.split(' ', 1)[0] as string
  }
}
