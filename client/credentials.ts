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
