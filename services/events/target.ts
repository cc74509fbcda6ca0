import { InvalidTargetError } from '../errors.ts'
import { unknownName } from '../option-checks.ts'
import { describe } from '../text.ts'
import { type Channel, EVERYONE, topicChannel, userChannel } from './channel.ts'

/**
 * The receivers of an event. Users, topics and everyone are separate properties, and at least one is required: a user that is
 * undefined by mistake is an error and can never become a broadcast.
 */
export interface Target {
  readonly users?: readonly string[] | undefined
  readonly topics?: readonly string[] | undefined
  readonly everyone?: boolean | undefined
  /** Users whose streams do not receive the event, at most 100: everyone on a topic but its sender. */
  readonly except?: { readonly users: readonly string[] } | undefined
}

const PROPERTIES = ['users', 'topics', 'everyone', 'except']
/** The log stores the names with the event. */
export const MAX_EXCEPTED = 100

/**
 * The channels of a target, none twice.
 * @throws {InvalidTargetError | InvalidUserError | InvalidTopicError}
 */
export function channelsOf(target: Target): Channel[] {
  if (typeof target !== 'object' || target === null) throw new InvalidTargetError(describe(target))
  const unknown = unknownName(target, PROPERTIES)
  if (unknown !== undefined)
    throw new InvalidTargetError(`the unknown property ${JSON.stringify(unknown.slice(0, 40))}`)
  const { users, topics, everyone } = target
  // Most events have one user as their target.
  if (users?.length === 1 && topics === undefined && everyone === undefined && Array.isArray(users))
    return [userChannel(users[0] as string)]
  const channels = new Set<Channel>()
  for (const user of names('users', target.users)) channels.add(userChannel(user))
  for (const topic of names('topics', target.topics)) channels.add(topicChannel(topic))
  if (target.everyone !== undefined && typeof target.everyone !== 'boolean') {
    throw new InvalidTargetError(`everyone: ${describe(target.everyone)}`)
  }
  if (target.everyone) channels.add(EVERYONE)
  if (channels.size === 0) throw new InvalidTargetError('nobody')
  return [...channels]
}

/**
 * The users whom a target excepts, none twice.
 * @throws {InvalidTargetError | InvalidUserError}
 */
export function exceptedUsers({ except }: Target): readonly string[] | undefined {
  if (except === undefined) return undefined
  if (typeof except !== 'object' || except === null || !Array.isArray(except.users))
    throw new InvalidTargetError(`except: ${describe(except)}; it is an object with users`)
  const unknown = unknownName(except, ['users'])
  if (unknown !== undefined)
    throw new InvalidTargetError(`the unknown property ${JSON.stringify(unknown.slice(0, 40))} of except`)
  const users = [...new Set(names('except.users', except.users))]
  for (const user of users) userChannel(user)
  if (users.length > MAX_EXCEPTED)
    throw new InvalidTargetError(`${users.length} excepted users; a target excepts at most ${MAX_EXCEPTED}`)
  return users
}

function names(word: string, value: unknown): readonly string[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length === 0) {
    throw new InvalidTargetError(`${word}: ${describe(value)}; name at least one, or leave it out`)
  }
  return value
}

/** One name or several, as `send` and `publish` take them. */
export function asList(value: string | readonly string[]): readonly string[] {
  return Array.isArray(value) ? value : [value as string]
}
