import type { CommandContext } from './command-context.ts'
import { UsageError } from './command-context.ts'

const DEFAULT_URL = 'http://127.0.0.1:3000'
/** How long a request may take, in milliseconds. */
const TIMEOUT = 30_000

export interface HubAddress {
  readonly url?: string | undefined
  readonly key?: string | undefined
}

interface ErrorAnswer {
  readonly code?: string
  readonly message?: string
}

/** The HTTP API of a hub, by its URL and key: those of the options, else `SSE_HUB_URL` and `SSE_HUB_KEY`. */
export class HubApi {
  readonly #base: string
  readonly #key: string | undefined
  readonly #signal: AbortSignal

  /** @throws {UsageError} */
  constructor({ url, key }: HubAddress, { env, signal }: CommandContext) {
    const base = url ?? (env.SSE_HUB_URL || DEFAULT_URL)
    if (!/^https?:\/\//.test(base) || !URL.canParse(base)) throw new UsageError('--url is an http:// or https:// URL')
    this.#base = base.endsWith('/') ? base.slice(0, -1) : base
    this.#key = key ?? (env.SSE_HUB_KEY || undefined)
    this.#signal = signal
  }

  get headers(): Record<string, string> {
    return this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }
  }

  urlOf(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): string {
    const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]]
    )
    return this.#base + path + (given.length === 0 ? '' : `?${new URLSearchParams(given)}`)
  }

  get(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<unknown> {
    return this.#call('GET', this.urlOf(path, query), undefined)
  }

  post(path: string, body: unknown): Promise<unknown> {
    return this.#call('POST', this.urlOf(path), body)
  }

  async #call(method: string, url: string, body: unknown): Promise<unknown> {
    const content = body === undefined ? {} : { body: JSON.stringify(body) }
    const headers = { ...this.headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(TIMEOUT)])
    let response: Response
    try {
      response = await fetch(url, { method, headers, ...content, signal })
    } catch (error) {
      const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException }
      throw new Error(`${new URL(url).origin} cannot be reached: ${cause?.code ?? message}`)
    }
    const text = await response.text()
    if (response.ok) return JSON.parse(text)
    const { code, message } = errorOf(text)
    throw new Error(`${response.status} ${code ?? ''}${message === undefined ? '' : `: ${message}`}`.trim())
  }
}

/** A proxy may answer with anything. */
function errorOf(text: string): ErrorAnswer {
  try {
    return JSON.parse(text) as ErrorAnswer
  } catch {
    return {}
  }
}
