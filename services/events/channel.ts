import { InvalidTopicError, InvalidUserError } from '../errors.ts'
import { describe, isBoundedText } from '../text.ts'

/**
 * The place where the log files an event: one user, one topic, everyone, a user's inbox (`i:`), or a user's read cursor (`r:`).
 * A prefix names the kind, so that the name of a user can never stand for a topic or for everyone.
 */
export type Channel = `u:${string}` | `t:${string}` | 'everyone' | InboxChannel

/** A channel of the inbox. Streams do not listen to it: an event for one is filed under the user's channel as well. */
export type InboxChannel = `i:${string}` | `r:${string}`

/** The channel of all streams, except those that only follow a topic. */
export const EVERYONE = 'everyone' satisfies Channel

/** Names go into URLs, keys and logs; 256 bytes holds an e-mail address, a URN or a UUID with a prefix. */
const MAX_NAME_BYTES = 256

/** @throws {InvalidUserError} for anything but a well-formed string of 1 to 256 bytes without control characters. */
export function userChannel(user: string): Channel {
  if (!isName(user)) throw new InvalidUserError(describe(user))
  return `u:${user}`
}

/** @throws {InvalidTopicError} for anything but a well-formed string of 1 to 256 bytes without control characters. */
export function topicChannel(topic: string): Channel {
  if (!isName(topic)) throw new InvalidTopicError(describe(topic))
  return `t:${topic}`
}

/** The channel of a user's inbox. */
export function inboxChannel(user: string): InboxChannel {
  return `i:${user}`
}

/** The channel of a user's read cursor, of which the log retains the newest. */
export function readChannel(user: string): InboxChannel {
  return `r:${user}`
}

const INBOX = 'i'.charCodeAt(0)
const READ = 'r'.charCodeAt(0)

/** Whether a channel belongs to a user's inbox. */
export function isInboxChannel(channel: Channel): channel is InboxChannel {
  const kind = channel.charCodeAt(0)
  // Every append asks: no channel of another kind begins with these letters.
  return kind === INBOX || kind === READ
}

/** The user whose inbox a channel belongs to; undefined for other channels. */
export function userOfInbox(channel: Channel): string | undefined {
  return isInboxChannel(channel) ? channel.slice(2) : undefined
}

/** The channels, and the inboxes of the users among them, except some users; undefined without such a user. */
export function withInboxes(channels: readonly Channel[], except: readonly string[] = []): Channel[] | undefined {
  const users = channels.flatMap((channel) => userOfChannel(channel) ?? []).filter((user) => !except.includes(user))
  return users.length === 0 ? undefined : [...channels, ...users.map(inboxChannel)]
}

/** The channels that are no inbox. */
export function besidesInboxes(channels: readonly Channel[]): readonly Channel[] {
  return channels.some(isInboxChannel) ? channels.filter((channel) => !isInboxChannel(channel)) : channels
}

/** The channels of a stream, each once: its topics and, unless it only follows those, its user and everyone. */
export function channelsHeard(user: string | null, topics: readonly string[], follows: boolean): Channel[] {
  const channels = [...new Set(topics)].map(topicChannel)
  if (follows) return channels
  if (user !== null) channels.push(userChannel(user))
  channels.push(EVERYONE)
  return channels
}

/** The user of a user's channel; undefined for other channels. */
export function userOfChannel(channel: Channel): string | undefined {
  return channel.startsWith('u:') ? channel.slice(2) : undefined
}

/** Whether a value can name a user or a topic. Names are compared byte by byte: no case folding, no normalisation. */
export function isName(value: unknown): value is string {
  return isBoundedText(value, MAX_NAME_BYTES)
}
