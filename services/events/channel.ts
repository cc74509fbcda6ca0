import { InvalidTopicError, InvalidUserError } from '../errors.ts'
import { describe, isBoundedText } from '../text.ts'

/**
 * The place where the log files an event: one user, one topic, or everyone. A prefix names the kind, so that the name of a
 * user can never stand for a topic or for everyone.
 */
export type Channel = `u:${string}` | `t:${string}` | 'everyone'

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
