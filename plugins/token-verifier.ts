import type { FastifyInstance } from 'fastify'
import { algorithmsOf, keyFingerprint } from '../services/access/jwt-keys.ts'
import { explainMissing } from '../services/optional-package.ts'

/** The tokens that are accepted. */
export interface TokenOptions {
  /**
   * Secrets of at least 32 bytes, or public keys in PEM. Several, so that a new key can be added before the old one is removed.
   */
  readonly keys: readonly string[]
  /** The required `aud` of a token. */
  readonly audience?: string | undefined
  /** The required `iss` of a token. */
  readonly issuer?: string | undefined
}

/** The claims of a verified token. */
export type Claims = Readonly<Record<string, unknown>> & { readonly exp: number }

/** A verified token. */
export interface Verified {
  readonly claims: Claims
  /** The fingerprint of the key that verified it. */
  readonly key: string
}

/** Verifies a token; undefined if it is invalid, for any reason. */
export type VerifyToken = (token: string) => Verified | undefined

/** Longer tokens are rejected unread: all headers of a request share 16 KiB. */
const MAX_LENGTH = 8_192
/** Tokens of other types, such as ID tokens, do not grant access, even with a valid signature. */
const TYPES = ['jwt', 'at+jwt', 'application/at+jwt']

interface Decoded {
  readonly header: { readonly typ?: unknown }
  readonly payload: Readonly<Record<string, unknown>>
}

let verifierCount = 0

/**
 * Creates a function that verifies JSON Web Tokens with `@fastify/jwt`. The type of the key determines the algorithms, never
 * the token. `exp` is required. References to keys in the token (`kid`, `jku`, `jwk`, `x5u`) are ignored.
 */
export async function tokenVerifier(app: FastifyInstance, options: TokenOptions): Promise<VerifyToken> {
  const { keys, audience, issuer } = options
  const { fastifyJwt } = await import('@fastify/jwt').catch(explainMissing('A JSON Web Token', '@fastify/jwt'))
  const verifiers: { key: string; verify: (token: string) => Decoded }[] = []
  // In a context of its own, so that it does not collide with the host's `@fastify/jwt`.
  await app.register(async (own) => {
    for (const key of keys) {
      const namespace = `sseHub${++verifierCount}`
      await own.register(fastifyJwt, {
        namespace,
        decoratorName: `${namespace}User`,
        secret: key.includes('-----BEGIN') ? { public: key } : key,
        verify: {
          algorithms: [...algorithmsOf(key)] as never,
          requiredClaims: ['exp', ...(audience === undefined ? [] : ['aud']), ...(issuer === undefined ? [] : ['iss'])],
          ...(audience === undefined ? {} : { allowedAud: audience }),
          ...(issuer === undefined ? {} : { allowedIss: issuer }),
          complete: true
        }
      })
      const jwt = (own.jwt as unknown as Record<string, { verify(token: string): Decoded }>)[namespace]
      verifiers.push({ key: keyFingerprint(key), verify: (token) => (jwt as NonNullable<typeof jwt>).verify(token) })
    }
  })
  return (token) => {
    if (token.length > MAX_LENGTH) return undefined
    for (const { key, verify } of verifiers) {
      const decoded = attempt(() => verify(token))
      if (decoded === undefined) continue
      const claims = acceptedClaims(decoded)
      return claims && { claims, key }
    }
    return undefined
  }
}

function acceptedClaims({ header, payload }: Decoded): Claims | undefined {
  const { typ } = header
  if (typ !== undefined && !(typeof typ === 'string' && TYPES.includes(typ.toLowerCase()))) return undefined
  return Number.isFinite(payload.exp) ? (payload as Claims) : undefined
}

function attempt<Value>(action: () => Value): Value | undefined {
  try {
    return action()
  } catch {
    // Text that cannot be parsed is an invalid token.
    return undefined
  }
}
