import type { HubAction } from './hub-action.ts'
import { isPattern, matchesAny } from './name-pattern.ts'
import type { Target } from './target.ts'

/** What a publisher may do. Users and topics are patterns: a name, or the beginning of names and then `*`. */
export interface Scopes {
  readonly broadcast: boolean
  readonly users: readonly string[]
  readonly topics: readonly string[]
  /** May close streams, of whomever. */
  readonly close: boolean
  /** May read presence, history and counts, of whomever. */
  readonly read: boolean
  /** May have a ticket made for any user, and so become him. */
  readonly ticket: boolean
}

/** The words of which scopes are made. */
export const SCOPE_WORDS = 'publish, broadcast, user:<name>, topic:<name>, close, read, ticket'

const FLAGS = ['broadcast', 'close', 'read', 'ticket'] as const

/**
 * Reads scopes: `broadcast`, `user:alice`, `user:*`, `topic:orders/*`, `publish` for all of these, `close`, `read`, `ticket`.
 * What is special where they are written (a comma, a blank) is percent-encoded in a name.
 * @returns undefined if one of them is none: a scope that is misspelled must not pass for one that was not wanted.
 */
export function parseScopes(words: readonly string[]): Scopes | undefined {
  const users: string[] = []
  const topics: string[] = []
  const flags = new Set<string>()
  for (const word of words) {
    if (word === 'publish') {
      flags.add('broadcast')
      users.push('*')
      topics.push('*')
    } else if (FLAGS.some((flag) => flag === word)) {
      flags.add(word)
    } else {
      const [, kind, encoded = ''] = /^(user|topic):(.+)$/s.exec(word) ?? []
      const pattern = decoded(encoded)
      if (!isPattern(pattern)) return undefined
      ;(kind === 'user' ? users : topics).push(pattern)
    }
  }
  const [broadcast, close, read, ticket] = FLAGS.map((flag) => flags.has(flag)) as [boolean, boolean, boolean, boolean]
  return { broadcast, users, topics, close, read, ticket }
}

/** Whether the scopes let their holder do that: all of it, or nothing. */
export function allows(scopes: Scopes, action: HubAction): boolean {
  return action.verb === 'publish' ? allowsTarget(scopes, action.target) : scopes[action.verb]
}

function allowsTarget(scopes: Scopes, { users = [], topics = [], everyone = false }: Target): boolean {
  // Whatever else it is, it is not nothing: an event for nobody is refused as such, later.
  return (
    (!everyone || scopes.broadcast) &&
    users.every((user) => matchesAny(scopes.users, user)) &&
    topics.every((topic) => matchesAny(scopes.topics, topic))
  )
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
