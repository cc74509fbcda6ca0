import type { Channel } from '../events/channel.ts'
import type { CloseReason } from '../events/close-reason.ts'
import type { Logger } from '../logger.ts'
import type { TopicCommand } from './topic-command.ts'

/**
 * The state that nodes of one hub share beside events, which the event log carries: presence, counts of listeners, commands
 * to close streams, and reservations under a limit.
 *
 * Each node knows its own streams exactly and at once; everything here is about the other nodes, and the hub adds the two up.
 * A node counts until its lease expires; a crashed node stops counting then. The others learn of a node's changes a moment
 * later, not at the same time.
 */
export interface Cluster {
  /** Whether this is the only node: then publishing and opening need no query and cost no more than without a cluster. */
  readonly isSingleNode: boolean

  /**
   * Whether the set of nodes is known, so that a count of zero is reliable. False while the cluster cannot be reached, and after
   * an outage until the earlier nodes are back or their leases have expired.
   */
  readonly isSettled: boolean

  /**
   * The number of streams on the other nodes, and of users that are online there and not here: as of about a second ago, and
   * zero while the others cannot be reached.
   */
  readonly elsewhere: { readonly users: number; readonly streams: number }

  /**
   * The number of live nodes, this one included, and the time since this node's lease was renewed, in milliseconds.
   * @default a single node
   */
  readonly membership?: { readonly nodes: number; readonly leaseAge: number } | undefined

  /**
   * Joins the cluster. Fulfilled once this node's streams are registered, or when that failed: then the node retries until
   * `leave`, and streams may be opened meanwhile. Never rejects.
   */
  join(node: LocalNode): Promise<void>

  /**
   * Registers a stream that was opened here. If its user has more than `replaceAbove` now, the user's oldest streams, on any
   * node, are closed once that is certain: within about a second, unless a node does not answer.
   */
  opened(stream: StreamEntry): void

  /** Registers the new topics of a stream that is open here. `former` are the topics that it had before. */
  changed(stream: StreamEntry, former: readonly string[]): void

  /**
   * Removes a stream that was closed here, or that was reserved and will not be opened. If it was the last one of its user on any
   * node, the user is reported as offline unless a new one is opened within `absence` milliseconds.
   */
  closed(stream: StreamEntry, absence: number): void

  /**
   * Registers a stream before it is opened, if its user has fewer than `limit` on all nodes; checks and registers atomically.
   * Also fulfilled with true if the cluster cannot be reached: in doubt, streams are accepted.
   */
  reserve(stream: StreamEntry, limit: number): Promise<boolean>

  /**
   * Counts, for each target, the streams of the other nodes that listen to at least one of its channels. Exact for one channel,
   * for several users, and for everyone with any other channels; a stream that listens to several of the topics of a target, or
   * to its user and its topic, may be counted for each of them.
   * @param except for each target, the users whose streams are not counted; undefined if no target excepts any. A stream of
   * such a user that only follows topics may still be counted.
   * @throws {ClusterUnavailableError}
   */
  countListeners(
    targets: readonly (readonly Channel[])[],
    except?: readonly (readonly string[])[]
  ): Promise<readonly number[]>

  /**
   * Counts the streams of a user on the other nodes.
   * @throws {ClusterUnavailableError}
   */
  countOfUser(user: string): Promise<number>

  /**
   * Whether each of the users has a stream on the other nodes, in one round trip.
   * @throws {ClusterUnavailableError}
   */
  areOnline(users: readonly string[]): Promise<readonly boolean[]>

  /**
   * Lists the streams of a user on the other nodes.
   * @throws {ClusterUnavailableError}
   */
  ofUser(user: string): Promise<readonly Pick<StreamEntry, 'id' | 'since' | 'topics'>[]>

  /**
   * Lists up to `limit` users after a name with their number of streams on other nodes, in the order of `compareNames`.
   * @throws {ClusterUnavailableError}
   */
  users(after: string, limit: number): Promise<readonly { readonly user: string; readonly streams: number }[]>

  /**
   * Closes streams on the other nodes, and returns how many were closed. Takes two seconds at most: a node that has not answered
   * by then is not counted, and still executes the command when it receives it.
   * @throws {ClusterUnavailableError} when the command may not have been sent.
   */
  close(command: CloseCommand): Promise<number>

  /**
   * Takes a role that one node at a time has, or extends the time for which this node has it.
   * @returns for how many milliseconds after the call this node has the role; 0 while another node has it.
   * @throws {ClusterUnavailableError}
   */
  hold(role: string): Promise<number>

  /** Gives up a role, if this node has it. Never rejects: a role ends by itself. */
  release(role: string): Promise<void>

  /**
   * Executes a command on the other nodes, and returns the sum of their answers.
   * @throws {ClusterUnavailableError} unless all nodes have answered within seven seconds.
   */
  changeTopics(command: TopicCommand): Promise<number>

  /** Leaves the cluster, which then counts nothing of this node, and closes all resources. Never rejects. */
  leave(): Promise<void>
}

/** A stream as the nodes know it. */
export interface StreamEntry {
  readonly id: string
  readonly user: string | null
  readonly topics: readonly string[]
  /** Whether it listens only to its topics. */
  readonly follows: boolean
  /** When it was opened, in milliseconds since the Unix epoch on the clock of its node. */
  readonly since: number
}

/** A user came online, or has been offline for longer than the leave grace. */
export interface PresenceChange {
  readonly user: string
  readonly isOnline: boolean
  /** When it came true: in milliseconds since the Unix epoch, on the clock of the node or of the store. */
  readonly at: number
}

/** Which streams to close, and why: all of a user, or some by their ids. */
export interface CloseCommand {
  readonly of: { readonly user: string } | { readonly streams: readonly string[] }
  readonly reason: CloseReason
  /** Whether clients should reconnect; without it, the reason decides. */
  readonly reconnect?: boolean | undefined
}

/** This node, as the cluster sees it: everything about its own streams, exact and at once. */
export interface LocalNode {
  readonly logger: Logger
  /** Number of streams of a user above which the oldest is closed; 0 without a limit, or with one that rejects. */
  readonly replaceAbove: number
  /** How long a user may be without a stream before the user is offline, in milliseconds. */
  readonly presenceGrace: number
  /** The same for the users of a node that leaves: it asks its clients to return after a while. */
  readonly drainGrace: number
  /** Whether the host wants changes of presence. Nodes whose hosts do not leave them to other nodes. */
  readonly isWatching: boolean
  /** Number of streams, and of users with a stream. */
  readonly size: number
  readonly users: number
  streams(): Iterable<StreamEntry>
  countOfUser(user: string): number
  /** Counts the streams that listen to a channel. */
  countListeners(channel: Channel): number
  /** Takes changes of presence. Each is reported once, to one node. Must not throw. */
  report(changes: readonly PresenceChange[]): void
  /**
   * Executes a command, and returns how many streams it closed.
   * @param age age of the command in milliseconds: it does not apply to streams that were opened since then.
   */
  close(command: CloseCommand, age: number): number
  /** Executes a command about topics of this node's streams, and resolves with its answer. Never rejects. */
  changeTopics(command: TopicCommand, age: number): Promise<number>
}
