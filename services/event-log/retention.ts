import { InvalidOptionError } from '../errors.ts'
import { type Channel, isInboxChannel } from '../events/channel.ts'
import type { NewEvent } from '../events/log-event.ts'
import { show, wholeNumber } from '../option-checks.ts'

/** The bounds of a log. Each bound is hard; eviction always removes the oldest event of a channel. */
export interface Retention {
  /** Events kept for each user. */
  readonly user: number
  /** Events kept for each topic. */
  readonly topic: number
  /** Events kept of those for everyone. */
  readonly everyone: number
  /** How long an event is kept, in milliseconds. */
  readonly age: number
  /** Events kept in the inbox of each user. */
  readonly inbox: number
  /** How long an event is kept in an inbox, in milliseconds; at least `age`. After that it expires, which is not a gap. */
  readonly inboxAge: number
  /** Bytes kept for each channel, besides the bound on its events; its newest event is kept in any case. */
  readonly channelBytes: number
  /**
   * Bytes kept in total, including idempotency keys and the log's own bookkeeping. At the bound, eviction selects one kind of
   * history, and of that kind one of the heaviest channels: see {@link SHARES}.
   */
  readonly bytes: number
}

const DAY = 86_400_000
const YEAR = 365 * DAY

export const DEFAULT_RETENTION: Retention = {
  user: 1_000,
  topic: 10_000,
  everyone: 10_000,
  age: DAY,
  inbox: 500,
  inboxAge: 90 * DAY,
  channelBytes: 16_777_216,
  bytes: 134_217_728
}

const RETENTION_NUMBERS = {
  user: [0, 10_000_000],
  topic: [0, 10_000_000],
  everyone: [0, 10_000_000],
  age: [1, 10 * YEAR],
  inbox: [1, 10_000],
  inboxAge: [1, 10 * YEAR],
  channelBytes: [0, Number.MAX_SAFE_INTEGER],
  bytes: [0, Number.MAX_SAFE_INTEGER]
} as const

/** @throws {InvalidOptionError} */
export function resolveRetention(given: Partial<Retention>): Retention {
  if (typeof given !== 'object' || Array.isArray(given))
    throw new InvalidOptionError('retention', `is an object; got ${show(given)}`)
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(RETENTION_NUMBERS, name)) {
      throw new InvalidOptionError(
        `retention.${name}`,
        `is unknown; expected one of ${Object.keys(RETENTION_NUMBERS).join(', ')}`
      )
    }
  }
  const entries = Object.entries(RETENTION_NUMBERS).map(([name, [min, max]]) => {
    const value = given[name as keyof Retention] ?? DEFAULT_RETENTION[name as keyof Retention]
    return [name, wholeNumber(`retention.${name}`, value, min, max)]
  })
  const numbers = Object.fromEntries(entries) as Record<keyof Retention, number>
  // An event that is kept in its user's history is kept in the inbox as well.
  return { ...numbers, inboxAge: Math.max(numbers.inboxAge, numbers.age) }
}

/** The kinds of channels, which have bounds of their own. */
export type ChannelKind = 'user' | 'topic' | 'everyone' | 'inbox'

export function kindOf(channel: Channel): ChannelKind {
  if (channel === 'everyone') return 'everyone'
  if (channel.startsWith('u:')) return 'user'
  return isInboxChannel(channel) ? 'inbox' : 'topic'
}

/** How many events a channel of this kind keeps. */
export function countBound(retention: Retention, kind: ChannelKind): number {
  return retention[kind]
}

/**
 * After how many milliseconds an event expires: its `ttl`, or for one in an inbox the age of inboxes if that is less. Undefined
 * for an event that only its age evicts.
 */
export function lifetimeOf(
  { channels, ttl }: Pick<NewEvent, 'channels' | 'ttl'>,
  retention: Retention
): number | undefined {
  if (!channels.some(isInboxChannel)) return ttl
  // The age comes first: it is a gap in the other channels of the event.
  return Math.min(ttl ?? Number.POSITIVE_INFINITY, Math.max(retention.inboxAge, retention.age + 1))
}

/** Whether the age evicts an event from its channels besides inboxes before it expires, or has done so. */
export function isAgedFirst(lifetime: number, { age }: Pick<Retention, 'age'>): boolean {
  return lifetime > age
}

/** The source of an eviction when the log is over its bound in bytes. */
export type EvictionSource = 'keys' | ChannelKind

/**
 * The share that each source keeps, independently of the others, of the bytes that bookkeeping leaves. The shares add up to
 * less than the whole, so at least one source exceeds its share whenever the log is over its bound. The first such source is
 * evicted from: users' history and inboxes last.
 */
export const SHARES: readonly (readonly [EvictionSource, number])[] = [
  ['keys', 1 / 8],
  ['topic', 1 / 4],
  ['everyone', 1 / 16],
  ['user', 1 / 4],
  ['inbox', 1 / 4]
]

/** Selects the source when the log is over its bound. `bytes` is the bound minus bookkeeping. */
export function evictionSourceOf(
  retained: Readonly<Record<EvictionSource, number>>,
  bytes: number
): EvictionSource | undefined {
  return SHARES.find(([source, share]) => retained[source] > Math.max(0, share * bytes))?.[0]
}
