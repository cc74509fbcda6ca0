/**
 * A change of topics on the node of the streams: the topics that the client of one stream requests, if the stream belongs to
 * the user; or a question to the host about the topics that the clients of a user have requested.
 */
export type TopicCommand =
  | { readonly stream: string; readonly user: string; readonly requested: readonly string[] }
  | { readonly reauthorize: string }

/** The answers to a command about one stream. Nodes without the stream answer 0, and the sum of all answers counts. */
export const TOPIC_ANSWERS = { noStream: 0, changed: 1, fixed: 2, tooMany: 3, failed: 4 } as const

export function isTopicCommand(value: unknown): value is TopicCommand {
  if (typeof value !== 'object' || value === null) return false
  const { stream, user, requested, reauthorize } = value as Record<string, unknown>
  if (typeof reauthorize === 'string') return true
  const isNamed = typeof stream === 'string' && typeof user === 'string'
  return isNamed && Array.isArray(requested) && requested.every((topic) => typeof topic === 'string')
}
