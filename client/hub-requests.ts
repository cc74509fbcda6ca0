import { errorOf } from './answer.ts'
import type { Auth, AuthReason, Credentials } from './credentials.ts'
import { CredentialSource } from './credentials.ts'
import { environment } from './environment.ts'
import { StreamError } from './stream-end.ts'

export interface RequestOptions {
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /**
   * Whether requests carry cookies, as fetch's option says.
   * @default 'same-origin'
   */
  readonly credentials?: 'include' | 'omit' | 'same-origin' | undefined
  /**
   * Returns headers or a ticket. It is called before the first request, before the identity of the stream expires, and once
   * after an answer 401.
   * @default undefined: the identity is in `headers`, or in a cookie
   */
  readonly auth?: Auth | undefined
  /** @default globalThis.fetch */
  readonly fetch?: typeof fetch | undefined
}

type Used = ReturnType<CredentialSource['get']>

/** The requests of one stream to its hub, with the credentials of its user. */
export class HubRequests {
  readonly #url: URL
  readonly #options: RequestOptions
  readonly #source: CredentialSource
  #used: Used | undefined

  constructor(url: URL, options: RequestOptions) {
    this.#url = url
    this.#options = options
    this.#source = new CredentialSource(options.auth)
  }

  get canRenew(): boolean {
    return this.#source.canRenew
  }

  /** The credentials of the stream are requested anew before its next request. */
  renew(reason: AuthReason): void {
    this.#source.renew(this.#used, reason)
  }

  /** Requests credentials now, for the next request. @throws {StreamError} */
  async prepare(): Promise<void> {
    await this.#credentials(this.#source.get())
  }

  /** Requests the stream. @throws {StreamError} if there are no credentials, and the errors of fetch. */
  async open(lastEventId: string | undefined, topics: ReadonlySet<string>, signal: AbortSignal): Promise<Response> {
    const url = new URL(this.#url)
    if (topics.size > 0) url.searchParams.set('topics', [...topics].join())
    else url.searchParams.delete('topics')
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (lastEventId !== undefined) {
      // The header would need a preflight, and the consent of the server's CORS, at another origin.
      if (environment.location === undefined || environment.location.origin === url.origin)
        headers['last-event-id'] = lastEventId
      else url.searchParams.set('lastEventId', lastEventId)
    }
    this.#used = this.#source.get()
    return this.#send(url, { headers, signal }, this.#used)
  }

  /** Calls another route of the hub. @throws {StreamError} for an answer that is not a success. */
  async call(method: string, path: string, body?: object): Promise<unknown> {
    const url = new URL(path, this.#url)
    const init =
      body === undefined
        ? { method }
        : { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    for (let isRenewed = !this.canRenew; ; isRenewed = true) {
      const used = this.#source.get()
      const response = await this.#send(url, init, used)
      if (response.ok) return response.status === 204 ? undefined : response.json()
      if (response.status !== 401 || isRenewed) throw await errorOf(response)
      this.#source.renew(used, 'refused')
    }
  }

  async #send(
    url: URL,
    init: { headers?: Record<string, string>; signal?: AbortSignal },
    used: Used
  ): Promise<Response> {
    const { headers, ticket } = await this.#credentials(used)
    if (ticket !== undefined) url.searchParams.set('ticket', ticket)
    const { fetch = globalThis.fetch, credentials = 'same-origin' } = this.#options
    const request = {
      cache: 'no-store',
      credentials,
      ...init,
      headers: { ...this.#options.headers, ...headers, ...init.headers }
    }
    return fetch(url.href, request)
  }

  async #credentials(used: Used): Promise<Credentials> {
    let credentials: Credentials | null
    try {
      credentials = await used
    } catch (cause) {
      throw new StreamError('auth', `auth() failed: ${cause instanceof Error ? cause.message : cause}`, { cause })
    }
    if (credentials == null) throw new StreamError('unauthorized', 'auth() returned no credentials')
    return credentials
  }
}
