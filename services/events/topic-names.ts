import { InvalidRequestError } from '../errors.ts'
import { describe } from '../text.ts'
import { topicChannel } from './channel.ts'

/**
 * The topics that a caller names: one, or several.
 * @throws {InvalidRequestError | InvalidTopicError}
 */
export function namedTopics(topics: string | readonly string[]): readonly string[] {
  const names = typeof topics === 'string' ? [topics] : topics
  if (!Array.isArray(names)) throw new InvalidRequestError(`topics are an array of names; got ${describe(topics)}`)
  for (const topic of names) topicChannel(topic)
  return names
}
