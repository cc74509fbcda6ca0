import { readFileSync } from 'node:fs'
import type { TokenOptions } from '../plugins/token-verifier.ts'
import type { ApiKey } from '../services/access/api-keys.ts'
import { algorithmsOf, keyFingerprint } from '../services/access/jwt-keys.ts'
import { isLoopback } from './loopback.ts'
import { readApiKeys } from './read-api-keys.ts'
import { fail, splitList, type Variables, wholeNumber } from './values.ts'

/** Access control of the standalone hub. */
export interface Access {
  /** Undefined if the hub is open. */
  readonly authentication: AuthenticationSettings | undefined
  /** Whether the hub serves only requests for a name of this machine: it is open, but `HUB_AUTH` is not "none". */
  readonly loopbackOnly: boolean
  /** Calls per second; 0 is no limit. */
  readonly rateLimit: number
}

export interface AuthenticationSettings {
  readonly subscribers: TokenOptions | undefined
  readonly publishers: TokenOptions | undefined
  readonly apiKeys: readonly ApiKey[]
  readonly cookie: string | undefined
}

/** Default rate, unless only this machine is served: above the rate of a publisher, below a harmful one. */
const DEFAULT_RATE_LIMIT = 1_000
const MAX_RATE_LIMIT = 1_000_000
/** The key in use, and its successor. */
const MAX_TOKEN_KEYS = 2
const MAX_CLAIM_LENGTH = 1_024
/** A cookie name: `token` of RFC 6265. */
const COOKIE_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/

export function readAccess(env: Variables, host: string): Access {
  const auth = env.HUB_AUTH || undefined
  if (auth !== undefined && auth !== 'none') fail('HUB_AUTH', 'is "none" or unset')
  const authentication = readAuthentication(env)
  if (authentication !== undefined && auth === 'none') {
    fail('HUB_AUTH', 'is "none" although keys are set: unset one of them')
  }
  if (authentication === undefined && auth === undefined && !isLoopback(host)) {
    fail(
      'HUB_AUTH',
      `must be "none" to serve ${host} without authentication: then every client that reaches the port may read and publish. ` +
        'Or set HUB_API_KEYS and HUB_JWT_SECRET'
    )
  }
  const loopbackOnly = authentication === undefined && auth === undefined
  const rateLimit = wholeNumber(env, 'HUB_RATE_LIMIT', 0, MAX_RATE_LIMIT) ?? (loopbackOnly ? 0 : DEFAULT_RATE_LIMIT)
  return { authentication, loopbackOnly, rateLimit }
}

function readAuthentication(env: Variables): AuthenticationSettings | undefined {
  const subscribers = tokens(env, 'HUB_JWT')
  const publishers = tokens(env, 'HUB_PUBLISH_JWT')
  const apiKeys = readApiKeys(env.HUB_API_KEYS)
  const cookie = env.HUB_JWT_COOKIE || undefined
  if (cookie !== undefined && subscribers === undefined)
    fail('HUB_JWT_COOKIE', 'needs HUB_JWT_SECRET or HUB_JWT_PUBLIC_KEY')
  if (cookie !== undefined && !COOKIE_NAME.test(cookie)) fail('HUB_JWT_COOKIE', 'is the name of a cookie')
  if (subscribers === undefined && publishers === undefined && apiKeys.length === 0) return undefined
  if (publishers === undefined && apiKeys.length === 0) {
    fail('HUB_API_KEYS', 'must be set, or a HUB_PUBLISH_JWT_SECRET or _PUBLIC_KEY: nobody could publish')
  }
  const subscriberKeys = subscribers?.keys.map(keyFingerprint) ?? []
  if (publishers?.keys.some((key) => subscriberKeys.includes(keyFingerprint(key)))) {
    const name = env.HUB_PUBLISH_JWT_SECRET ? 'HUB_PUBLISH_JWT_SECRET' : 'HUB_PUBLISH_JWT_PUBLIC_KEY'
    fail(name, 'must differ from the key of the subscribers: otherwise every issuer of their tokens could publish')
  }
  return { subscribers, publishers, apiKeys, cookie }
}

function tokens(env: Variables, prefix: string): TokenOptions | undefined {
  const [secretName, keyName] = [`${prefix}_SECRET`, `${prefix}_PUBLIC_KEY`] as const
  const { [secretName]: secret, [keyName]: publicKey } = env
  if (secret && publicKey) fail(keyName, `and ${secretName} exclude each other: one of them verifies tokens`)
  const keys = secret ? secrets(secretName, secret) : publicKey ? publicKeys(keyName, publicKey) : []
  const audience = claim(env, `${prefix}_AUDIENCE`)
  const issuer = claim(env, `${prefix}_ISSUER`)
  if (keys.length > 0) return { keys, audience, issuer }
  if (audience !== undefined) fail(`${prefix}_AUDIENCE`, `needs ${secretName} or ${keyName}`)
  if (issuer !== undefined) fail(`${prefix}_ISSUER`, `needs ${secretName} or ${keyName}`)
  return undefined
}

function secrets(name: string, text: string): string[] {
  return checked(name, splitList(text, /\s/))
}

function publicKeys(name: string, text: string): string[] {
  // A value that cannot contain line breaks has them as \n.
  const pem = text.includes('-----BEGIN') ? text.replaceAll('\\n', '\n') : readPem(name, text)
  return checked(name, pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [])
}

function checked(name: string, keys: readonly string[]): string[] {
  if (keys.length === 0 || keys.length > MAX_TOKEN_KEYS)
    fail(name, `is one key, or two separated by a space; got ${keys.length}`)
  for (const key of keys) {
    try {
      algorithmsOf(key)
    } catch (error) {
      fail(name, (error as Error).message)
    }
  }
  return [...keys]
}

function claim(env: Variables, name: string): string | undefined {
  const text = env[name]?.trim() || undefined
  if (text !== undefined && text.length > MAX_CLAIM_LENGTH) fail(name, `has at most ${MAX_CLAIM_LENGTH} characters`)
  return text
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return fail(
      name,
      `is a PEM or the path of one; it cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'error'}`
    )
  }
}
