import { InvalidOptionError } from '../errors.ts'
import { isPromiseLike } from '../promise-like.ts'
import { describe } from '../text.ts'
import type { Stream } from './stream.ts'

/** Gives fields that `hub.welcome` carries beside the hub's own. */
export type WelcomeFunction = (stream: Stream) => object

const MAX_LENGTH = 16_384
/** The hub's own fields, also those that not every hub sends. */
const OWN = new Set([
  'stream',
  'user',
  'topics',
  'expiresAt',
  'expiresIn',
  'online',
  'heartbeatInterval',
  'resumed',
  'replayed',
  'unread'
])
const OPTION = 'welcome()'
/** The last time that a Date can hold, in milliseconds since the epoch. */
const LAST_DATE = 8.64e15

/**
 * Asks the host for the fields of one stream's welcome, as JSON holds them.
 * @throws {InvalidOptionError} for anything but a plain object of bounded size without the hub's own fields; and the error of
 * the function.
 */
export function welcomeFields(welcome: WelcomeFunction, stream: Stream): object {
  const given: unknown = welcome(stream)
  if (isPromiseLike(given)) {
    // The function is at fault already; the hub logs one error for it.
    Promise.resolve(given).catch(() => undefined)
    throw new InvalidOptionError(OPTION, 'returns an object at once; got a promise')
  }
  if (!isPlainObject(given)) throw new InvalidOptionError(OPTION, `returns a plain object; got ${describe(given)}`)
  const json = JSON.stringify(given) ?? 'null'
  if (json.length > MAX_LENGTH)
    throw new InvalidOptionError(OPTION, `returns at most ${MAX_LENGTH} characters of JSON; got ${json.length}`)
  const fields: unknown = JSON.parse(json)
  if (!isPlainObject(fields)) throw new InvalidOptionError(OPTION, 'returns a plain object; its toJSON() does not')
  const own = Object.keys(fields).find((name) => OWN.has(name))
  if (own !== undefined) throw new InvalidOptionError(OPTION, `returns a field ${own}, which is the hub's own`)
  return fields
}

/** The fields about the end of a stream's identity; none if it ends later than a date can say. */
export function expiryFields(expiresAt: number | undefined, now: number): { expiresAt?: string; expiresIn?: number } {
  if (expiresAt === undefined || expiresAt > LAST_DATE) return {}
  return { expiresAt: new Date(expiresAt).toISOString(), expiresIn: Math.max(0, Math.round(expiresAt - now)) }
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
