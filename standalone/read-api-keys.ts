import { readFileSync } from 'node:fs'
import { type ApiKey, hashSecret } from '../services/access/api-keys.ts'
import { parseScopes, SCOPE_WORDS } from '../services/access/scopes.ts'
import { fail, splitList } from './values.ts'

const NAME = 'HUB_API_KEYS'
const MAX_KEYS = 1_000
/** The key in use, and its successor. */
const MAX_KEYS_OF_ID = 2
const ID = /^[\w-]{1,64}$/
/**
 * A key has no dot, which distinguishes it from tokens, and `=` only at its end (RFC 6750 §2.1). 32 hex digits are 128 bits.
 */
const KEY = /^(?=.{32,256}$)[A-Za-z0-9_~+/-]+=*$/
const HASH = /^sha256-([0-9a-f]{64})$/i

/**
 * Reads `id:key:scope,scope; id:key:scope`, or the path of a file with one such entry per line. The key may be replaced by
 * `sha256-` and the SHA-256 of the key in hex. No message repeats any part of a key.
 */
export function readApiKeys(text: string | undefined): readonly ApiKey[] {
  const isPath = text !== undefined && /^\.{0,2}\//.test(text)
  const lines = splitList(isPath ? readKeys(text) : text, '\n')
  // A comment ends with its line: a semicolon in it begins no entry.
  const entries = splitList(lines.filter((line) => !line.startsWith('#')).join(';'), ';')
  if (text && entries.length === 0) fail(NAME, 'has no key')
  if (entries.length > MAX_KEYS) fail(NAME, `has at most ${MAX_KEYS} keys; got ${entries.length}`)
  const keys = entries.map(readEntry)
  for (const [index, key] of keys.entries()) {
    const before = keys.slice(0, index)
    if (before.some(({ hash }) => Buffer.compare(hash, key.hash) === 0))
      fail(NAME, `has a duplicate key: entry ${index + 1}`)
    if (before.filter(({ id }) => id === key.id).length >= MAX_KEYS_OF_ID) {
      fail(NAME, `has at most ${MAX_KEYS_OF_ID} keys of one id: the old one and the new one; see "${key.id}"`)
    }
  }
  return keys
}

function readEntry(entry: string, index: number): ApiKey {
  const which = `entry ${index + 1}`
  const [id = '', key = '', ...rest] = entry.split(':')
  if (rest.length === 0) fail(NAME, `is a list of id:key:scopes, separated by semicolons; ${which} is not`)
  if (!ID.test(id)) fail(NAME, `has an id of 1 to 64 letters, digits, _ and - in each entry; ${which} has not`)
  const [, hex] = HASH.exec(key) ?? []
  if (hex === undefined && (!KEY.test(key) || key.startsWith('sha256-'))) {
    fail(
      NAME,
      `has keys of 32 to 256 letters, digits and _~+/-, with = at the end only, or sha256- and 64 hex digits; see "${id}" (${which})`
    )
  }
  const words = splitList(rest.join(':'))
  const scopes = words.length === 0 ? undefined : parseScopes(words)
  if (scopes === undefined)
    fail(NAME, `has scopes of these, separated by commas: ${SCOPE_WORDS}; see "${id}" (${which})`)
  return { id, hash: hex === undefined ? hashSecret(key) : Buffer.from(hex, 'hex'), scopes }
}

function readKeys(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return fail(NAME, `cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'error'}`)
  }
}
