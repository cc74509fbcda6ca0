import type { Channel } from '../events/channel.ts'
import type { CloseReason } from '../events/close-reason.ts'
import type { Logger } from '../logger.ts'

/**
 * What the nodes of one hub tell and ask each other beside events, which the event log carries: who is online, how many
 * listen, close these streams, is there room for another one.
 *
 * Each node knows its own streams exactly and at once; everything here is about the others, and the hub adds the two up.
 * A node counts while it is known to be alive: one that died without a word counts for nothing once its lease is over.
 * What a node has done is known to the others a moment later, not at the same time.
 */
export interface Cluster {
  /** Whether there is no other node: then nothing needs to be asked, and publishing and opening cost what they cost alone. */
  readonly isSingleNode: boolean

  /**
   * Whether it is known which other nodes there are, so that a count of zero means that nobody is there. Not so while they cannot be
   * reached, nor after an outage until those that were there before are back or have been given up.
   */
  readonly isSettled: boolean

  /**
   * How many streams the other nodes have, and how many users are online there and not here: as of about a second ago, and
   * zero once the others cannot be reached any more.
   */
  readonly elsewhere: { readonly users: number; readonly streams: number }

  /**
   * Joins the others. Fulfilled once this node's streams are known to them, or when that failed: then it is tried again until
   * `leave`, and streams may be opened all the while. Never rejects.
   */
  join(node: LocalNode): Promise<void>

  /**
   * A stream was opened here. If its user has more than `replaceAbove` now, his oldest ones, anywhere, are closed, once that is
   * certain: about a second later at most, unless a node does not answer.
   */
  opened(stream: StreamEntry): void

  /** A stream was closed here, or one that was reserved is not going to be opened. */
  closed(stream: StreamEntry): void

  /**
   * Counts a stream in, before it is opened, if its user has fewer than `limit` on all nodes; checks and counts in one step.
   * Fulfilled with true as well when the others cannot be asked: streams are let in when in doubt.
   */
  reserve(stream: StreamEntry, limit: number): Promise<boolean>

  /**
   * For each target, how many streams of the other nodes listen to at least one of its channels. Exact for one channel, for
   * several users, and for everyone with whatever else; a stream that listens to several of the topics of a target, or to its
   * user and its topic, may be counted for each of them.
   * @throws {ClusterUnavailableError}
   */
  countListeners(targets: readonly (readonly Channel[])[]): Promise<readonly number[]>

  /**
   * How many streams a user has on the other nodes.
   * @throws {ClusterUnavailableError}
   */
  countOfUser(user: string): Promise<number>

  /**
   * The streams that a user has on the other nodes.
   * @throws {ClusterUnavailableError}
   */
  ofUser(user: string): Promise<readonly Pick<StreamEntry, 'id' | 'since' | 'topics'>[]>

  /**
   * At most `limit` users after a name who have streams on other nodes, and how many there, in the order of `compareNames`.
   * @throws {ClusterUnavailableError}
   */
  users(after: string, limit: number): Promise<readonly { readonly user: string; readonly streams: number }[]>

  /**
   * Closes streams on the other nodes, and says how many were closed. Takes two seconds at most: a node that has not answered
   * by then, or is cut off, is not counted, and still obeys when it comes to it.
   * @throws {ClusterUnavailableError} when the others may not have been told.
   */
  close(command: CloseCommand): Promise<number>

  /** Takes leave of the others, who count nothing of this node any more, and lets go of everything. Never rejects. */
  leave(): Promise<void>
}

/** What the nodes know of a stream. */
export interface StreamEntry {
  readonly id: string
  readonly user: string | null
  readonly topics: readonly string[]
  /** Whether it listens to its topics alone. */
  readonly follows: boolean
  /** When it was opened, in milliseconds since the epoch on the clock of its node. */
  readonly since: number
}

/** Which streams to close, and why: all of a user, or some by their ids. */
export interface CloseCommand {
  readonly of: { readonly user: string } | { readonly streams: readonly string[] }
  readonly reason: CloseReason
  /** Whether they should come back; what goes with the reason, if left out. */
  readonly reconnect?: boolean | undefined
}

/** This node, as what joins it to the others sees it: everything about its own streams, exact and at once. */
export interface LocalNode {
  readonly logger: Logger
  /** How many streams a user may have before his oldest is closed; 0 is no limit, or one that refuses. */
  readonly replaceAbove: number
  /** How many streams there are, and how many users have one. */
  readonly size: number
  readonly users: number
  streams(): Iterable<StreamEntry>
  countOfUser(user: string): number
  /** How many streams listen to a channel. */
  countListeners(channel: Channel): number
  /**
   * Carries out a command, and says how many streams it closed.
   * @param age of the command in milliseconds: what was opened since then is not meant by it.
   */
  close(command: CloseCommand, age: number): number
}
