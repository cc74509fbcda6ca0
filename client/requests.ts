import { errorOf } from './answer.ts'
import type { Auth, AuthReason, Credentials } from './credentials.ts'
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

/** The credentials of one request. */
export type Used = Promise<Credentials>

export interface Requests {
  /** The current credentials. Callers that need new ones at the same time share one call of `auth()`. */
  credentials(): Used
  /** Forgets credentials, unless newer ones have been requested since. */
  renew(used: Used | undefined, reason: AuthReason): void
  /** @throws {StreamError} if there are no credentials, and the errors of fetch. */
  send(url: URL, init: { method?: string; headers?: object; body?: string; signal?: AbortSignal }): Promise<Response>
  /** Calls another route of the hub. @throws {StreamError} for an answer that is not a success. */
  call(method: string, path: string, body?: object): Promise<unknown>
}

/** The requests of one stream to its hub, with the credentials of its user. */
export function requestsOf(base: URL, options: RequestOptions): Requests {
  const { auth } = options
  let current: Used | undefined
  let why: AuthReason = 'first'

  const ask = async (): Used => {
    let answer: Credentials | null
    try {
      answer = auth ? await auth(why) : {}
    } catch (cause) {
      throw new StreamError('auth', cause)
    }
    if (!answer) throw new StreamError('unauthorized')
    return answer
  }

  const requests: Requests = {
    credentials() {
      if (!current) {
        const asking = ask()
        current = asking
        // The callers get the failure; the next one asks again.
        asking.catch(() => requests.renew(asking, why))
      }
      return current
    },
    renew(used, reason) {
      if (used !== current) return
      current = undefined
      why = reason
    },
    async send(url, init) {
      const { headers, ticket } = await requests.credentials()
      if (ticket) url.searchParams.set('ticket', ticket)
      const request = {
        cache: 'no-store',
        credentials: options.credentials,
        ...init,
        headers: { ...options.headers, ...headers, ...init.headers }
      }
      return (options.fetch ?? fetch)(url.href, request as RequestInit)
    },
    async call(method, path, body) {
      const init = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
      for (let isRenewed = !auth; ; isRenewed = true) {
        const used = requests.credentials()
        const url = new URL(path, base)
        // An open hub takes the name of the user from the URL.
        const user = base.searchParams.get('user')
        if (user) url.searchParams.set('user', user)
        const response = await requests.send(url, { method, ...init })
        if (response.ok) return response.status === 204 ? undefined : response.json()
        if (response.status !== 401 || isRenewed) throw await errorOf(response)
        requests.renew(used, 'refused')
      }
    }
  }
  return requests
}
