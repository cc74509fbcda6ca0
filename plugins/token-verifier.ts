import type { FastifyInstance } from 'fastify'
import { algorithmsOf, keyFingerprint } from '../services/access/jwt-keys.ts'
import { explainMissing } from './optional-package.ts'

/** Which tokens are believed. */
export interface TokenOptions {
  /**
   * Secrets of at least 32 bytes, or public keys in PEM. Several, so that a new one can be brought in before the old one is
   * taken away.
   */
  readonly keys: readonly string[]
  /** Who a token must be made for: its `aud`. */
  readonly audience?: string | undefined
  /** Who it must be made by: its `iss`. */
  readonly issuer?: string | undefined
}

/** What a token that is believed says. */
export type Claims = Readonly<Record<string, unknown>> & { readonly exp: number }

/** A verified token. */
export interface Verified {
  readonly claims: Claims
  /** The fingerprint of the key that verified it. */
  readonly key: string
}

/** Verifies a token; undefined if it is invalid, for any reason. */
export type VerifyToken = (token: string) => Verified | undefined

/** Longer ones come from nobody who means well: all headers of a request share 16 KiB. */
const MAX_LENGTH = 8_192
/** Tokens of other kinds, an ID token's sibling for instance, are not for access, whoever signed them. */
const TYPES = ['jwt', 'at+jwt', 'application/at+jwt']

interface Decoded {
  readonly header: { readonly typ?: unknown }
  readonly payload: Readonly<Record<string, unknown>>
}

let made = 0

/**
 * Checks JSON Web Tokens with `@fastify/jwt`. Which algorithms are taken is said by the kind of the key and never by the
 * token; `exp` is required; what a token says of keys (`kid`, `jku`, `jwk`, `x5u`) is not looked at.
 */
export async function tokenVerifier(app: FastifyInstance, options: TokenOptions): Promise<VerifyToken> {
  const { keys, audience, issuer } = options
  const { fastifyJwt } = await import('@fastify/jwt').catch(explainMissing('A JSON Web Token', '@fastify/jwt'))
  const verifiers: { key: string; verify: (token: string) => Decoded }[] = []
  // In a context of its own, so that it gets along with the host's.
  await app.register(async (own) => {
    for (const key of keys) {
      const namespace = `sseHub${++made}`
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
      const claims = believable(decoded)
      return claims && { claims, key }
    }
    return undefined
  }
}

function believable({ header, payload }: Decoded): Claims | undefined {
  const { typ } = header
  if (typ !== undefined && !(typeof typ === 'string' && TYPES.includes(typ.toLowerCase()))) return undefined
  return Number.isFinite(payload.exp) ? (payload as Claims) : undefined
}

function attempt<Value>(action: () => Value): Value | undefined {
  try {
    return action()
  } catch {
    // What cannot be read is no token: its bearer is refused.
    return undefined
  }
}
