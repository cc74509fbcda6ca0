import { InvalidRequestError } from '../errors.ts'
import { type Channel, EVERYONE, topicChannel, userChannel } from '../events/channel.ts'
import { unknownName } from '../option-checks.ts'
import { describe } from '../text.ts'

/** The channel of a history: one user, one topic, or everyone. */
export type HistoryOf = { readonly user: string } | { readonly topic: string } | { readonly everyone: true }

export interface HistoryQuery {
  /** A cursor, or undefined for the oldest retained event. */
  readonly after?: string | undefined
  /** The maximum number of events, 1 to 1,000. */
  readonly limit?: number | undefined
}

const MAX_PAGE = 1_000

/** @throws {InvalidRequestError | InvalidUserError | InvalidTopicError} */
export function historyChannel(of: HistoryOf): Channel {
  const isObject = typeof of === 'object' && of !== null
  const [name, ...more] = isObject ? Object.keys(of) : []
  if (isObject && more.length === 0) {
    if ('user' in of) return userChannel(of.user)
    if ('topic' in of) return topicChannel(of.topic)
    if (name === 'everyone' && of.everyone === true) return EVERYONE
  }
  const got = name === undefined ? describe(of) : `an object with ${[name, ...more].join(', ').slice(0, 80)}`
  throw new InvalidRequestError(`history() takes one of { user }, { topic } and { everyone: true }; got ${got}`)
}

/**
 * Checks the names of the options of a method that reads a page.
 * @throws {InvalidRequestError}
 */
export function checkQuery(method: string, query: unknown, known: readonly string[]): void {
  if (typeof query !== 'object' || query === null)
    throw new InvalidRequestError(`${method} takes { ${known.join(', ')} }; got ${describe(query)}`)
  const unknown = unknownName(query, known)
  if (unknown !== undefined)
    throw new InvalidRequestError(
      `${method} has no option ${JSON.stringify(unknown.slice(0, 40))}; it has ${known.join(', ')}`
    )
}

/** @throws {InvalidRequestError} */
export function checkHistoryQuery(query: HistoryQuery): HistoryQuery {
  checkQuery('history()', query, ['after', 'limit'])
  if (query.after !== undefined && typeof query.after !== 'string')
    throw new InvalidRequestError(`after is a cursor; got ${describe(query.after)}`)
  return query
}

/** @throws {InvalidRequestError} */
export function checkLimit(limit: number): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new InvalidRequestError(`limit is a whole number from 1 to ${MAX_PAGE}`)
  }
  return limit
}
