import type { Target } from '../events/target.ts'
import type { HubAction } from './action.ts'
import { isMatched, type NamePattern, parsePattern } from './name-pattern.ts'

/** The permissions of a publisher. */
export interface Scopes {
  readonly broadcast: boolean
  readonly users: readonly NamePattern[]
  readonly topics: readonly NamePattern[]
  /** May close streams of any user. */
  readonly close: boolean
  /** May read presence and counts, and the history of any user, of any topic and for everyone. */
  readonly read: boolean
  /** May issue and revoke tickets for any user, and so act as that user. */
  readonly ticket: boolean
  /** May read the metrics of a node, and nothing else; `read` permits that, too. */
  readonly metrics: boolean
}

/** The words of the scope notation. */
export const SCOPE_WORDS = 'publish, broadcast, user:<name>, topic:<name>, close, read, ticket, metrics'

const ANY: NamePattern = { text: '', isPrefix: true }
const FLAGS = ['broadcast', 'close', 'read', 'ticket', 'metrics'] as const

/**
 * Reads scopes: `broadcast`, `user:alice`, `user:*`, `topic:orders/*`, `publish` for all of these, `close`, `read`, `ticket`,
 * `metrics`.
 * Special characters of the notation (a comma, a blank) are percent-encoded in a name; so is a `*` at the end of a name.
 * @returns undefined if a word is not a scope: a misspelled scope must not count as an omitted one.
 */
export function parseScopes(words: readonly string[]): Scopes | undefined {
  const users: NamePattern[] = []
  const topics: NamePattern[] = []
  const flags = new Set<string>()
  for (const word of words) {
    if (word === 'publish') {
      flags.add('broadcast')
      users.push(ANY)
      topics.push(ANY)
    } else if (FLAGS.some((flag) => flag === word)) {
      flags.add(word)
    } else {
      const [, kind, encoded = ''] = /^(user|topic):(.+)$/s.exec(word) ?? []
      const pattern = parsePattern(encoded)
      if (pattern === undefined) return undefined
      ;(kind === 'user' ? users : topics).push(pattern)
    }
  }
  const has = (flag: (typeof FLAGS)[number]) => flags.has(flag)
  return {
    ...{ broadcast: has('broadcast'), users, topics },
    ...{ close: has('close'), read: has('read'), ticket: has('ticket'), metrics: has('metrics') }
  }
}

/** Whether the scopes cover the whole action. An empty target asks whether they permit publishing at all. */
export function allows(scopes: Scopes, action: HubAction): boolean {
  if (action.verb === 'metrics') return scopes.metrics || scopes.read
  return action.verb === 'publish' ? allowsTarget(scopes, action.target) : scopes[action.verb]
}

function allowsTarget(scopes: Scopes, { users = [], topics = [], everyone = false }: Target): boolean {
  return (
    (scopes.broadcast || scopes.users.length > 0 || scopes.topics.length > 0) &&
    (!everyone || scopes.broadcast) &&
    users.every((user) => isMatched(scopes.users, user)) &&
    topics.every((topic) => isMatched(scopes.topics, topic))
  )
}
