import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export const SECRET = 'subscribers: a secret of more than 32 bytes'
export const PUBLISH_SECRET = 'publishers: another secret, of more than 32'

export interface TokenParts {
  readonly alg?: string
  /** Additional fields of the header. */
  readonly header?: object
  /** The key of the signature: a secret, or a private key. */
  readonly key?: string | KeyObject
}

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** `seconds` from now, as a NumericDate of a token. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds

/** Any token, made by hand: signers refuse to make most tokens that a verifier must refuse. */
export function forge(claims: unknown, { alg = 'HS256', header = {}, key = SECRET }: TokenParts = {}): string {
  const input = `${encode({ alg, typ: 'JWT', ...header })}.${encode(claims)}`
  return `${input}.${signature(input, alg, key)}`
}

/** A valid token of a subscriber, unless its claims say otherwise. */
export function tokenOf(user: unknown, claims: object = {}, parts: TokenParts = {}): string {
  return forge({ sub: user, exp: inSeconds(600), ...claims }, parts)
}

function signature(input: string, alg: string, key: string | KeyObject): string {
  if (alg === 'none') return ''
  const digest = `sha${alg.slice(2)}`
  if (alg.startsWith('HS')) return createHmac(digest, key).update(input).digest('base64url')
  if (alg === 'EdDSA') return sign(null, Buffer.from(input), key as KeyObject).toString('base64url')
  const options = { key: key as KeyObject, ...(alg.startsWith('ES') ? { dsaEncoding: 'ieee-p1363' as const } : {}) }
  return sign(digest, Buffer.from(input), options).toString('base64url')
}

export interface KeyPair {
  readonly pem: string
  readonly privateKey: KeyObject
}

/** A pair of keys, the public one in PEM. */
export function keyPair(
  kind: 'rsa' | 'ec' | 'ed25519',
  size: number | string = kind === 'rsa' ? 2_048 : 'P-256'
): KeyPair {
  const { publicKey, privateKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: size as number })
      : kind === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: size as string })
        : generateKeyPairSync('ed25519')
  return { pem: publicKey.export({ type: 'spki', format: 'pem' }) as string, privateKey }
}
