import { createPublicKey, hash, type KeyObject } from 'node:crypto'

/** The minimum bytes of a secret (RFC 7518 §3.2): as many as its hash has. */
const HMAC: readonly [string, number][] = [
  ['HS256', 32],
  ['HS384', 48],
  ['HS512', 64]
]
const MIN_RSA_BITS = 2_048
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const CURVES: Record<string, string> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/**
 * The algorithms that a key may be used with. The kind of the key decides, and never the token: otherwise a client that knows
 * a public key could sign with it as if it were a secret.
 * @throws {Error} describing the mistake without repeating the key.
 */
export function algorithmsOf(key: string): readonly string[] {
  return key.includes('-----BEGIN') ? ofPublicKey(key) : ofSecret(key)
}

function ofSecret(secret: string): readonly string[] {
  const bytes = Buffer.byteLength(secret)
  const algorithms = HMAC.filter(([, min]) => bytes >= min).map(([name]) => name)
  if (algorithms.length === 0) throw new Error(`has at least 32 bytes; got ${bytes}`)
  return algorithms
}

function ofPublicKey(pem: string): readonly string[] {
  if (pem.includes('PRIVATE KEY'))
    throw new Error('is a public key; got a private one, which must stay with the issuer')
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch {
    throw new Error('is a public key in PEM (SPKI)')
  }
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS) return RSA
  if (key.asymmetricKeyType === 'ec' && CURVES[namedCurve] !== undefined) return [CURVES[namedCurve]]
  if (key.asymmetricKeyType === 'ed25519') return ['EdDSA']
  throw new Error(`is RSA of at least ${MIN_RSA_BITS} bits, ECDSA over P-256, P-384 or P-521, or Ed25519`)
}

/**
 * Identifies a key without revealing it: equal for one public key in different encodings (PKCS #1, SPKI, other line breaks).
 * @param key a secret, or a public key in PEM that {@link algorithmsOf} accepts.
 */
export function keyFingerprint(key: string): string {
  const bytes = key.includes('-----BEGIN') ? createPublicKey(key).export({ type: 'spki', format: 'der' }) : key
  const domain = Buffer.from('fastify-sse-hub key\0')
  return hash('sha256', Buffer.concat([domain, Buffer.from(bytes)]), 'base64url').slice(0, 22)
}
