/** The result of `auth()`: headers for each request, or a ticket for its URL. */
export interface Credentials {
  readonly headers?: Readonly<Record<string, string>>
  readonly ticket?: string
}

/**
 * Why new credentials are requested: the first ones, the stream's identity ends soon or has ended, or the hub answered 401.
 */
export type AuthReason = 'first' | 'expiring' | 'refused'

/** Resolves with credentials, or with null if the user is signed out, which ends the stream for good. */
export type Auth = (reason: AuthReason) => Credentials | null | Promise<Credentials | null>

/** The credentials of all requests of a stream. Callers that need new ones at the same time share one call of `auth()`. */
export class CredentialSource {
  readonly #auth: Auth | undefined
  #current: Promise<Credentials | null> | undefined
  #reason: AuthReason = 'first'

  constructor(auth: Auth | undefined) {
    this.#auth = auth
  }

  /** Whether new credentials can be requested. */
  get canRenew(): boolean {
    return this.#auth !== undefined
  }

  /** Forgets credentials, unless newer ones have been requested since. */
  renew(used: Promise<Credentials | null> | undefined, reason: AuthReason): void {
    if (used !== this.#current) return
    this.#current = undefined
    this.#reason = reason
  }

  get(): Promise<Credentials | null> {
    if (this.#current !== undefined) return this.#current
    const asking = (async () => (this.#auth === undefined ? {} : this.#auth(this.#reason)))()
    this.#current = asking
    asking.catch(() => {
      // The callers get the failure; the next one asks again.
      if (this.#current === asking) this.#current = undefined
    })
    return asking
  }
}
