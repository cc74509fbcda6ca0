import { hash, timingSafeEqual } from 'node:crypto'
import type { Scopes } from './scopes.ts'

/** A publisher's key. Only its hash is stored. */
export interface ApiKey {
  /** The key's name in logs and limits. Two keys may share it while one replaces the other. */
  readonly id: string
  /** SHA-256 of the key: 32 bytes. */
  readonly hash: Uint8Array
  readonly scopes: Scopes
}

/** The SHA-256 of a secret, 32 bytes. Secrets are long and random, so a slow hash would protect nothing more. */
export function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

/** Identifies a key without revealing its hash. Keys with one id have different fingerprints. */
export function fingerprintOf({ hash: digest }: ApiKey): string {
  return hash('sha256', Buffer.concat([Buffer.from('fastify-sse-hub api key\0'), digest]), 'base64url').slice(0, 22)
}

/** The keys of the publishers. */
export class ApiKeys {
  readonly #keys: readonly ApiKey[]

  constructor(keys: readonly ApiKey[]) {
    this.#keys = keys
  }

  /** The key that equals this text, or undefined. The duration reveals nothing about the keys. */
  find(text: string): ApiKey | undefined {
    if (this.#keys.length === 0) return undefined
    const digest = hashSecret(text)
    let found: ApiKey | undefined
    for (const key of this.#keys) if (timingSafeEqual(digest, key.hash)) found = key
    return found
  }
}
