import { PublisherError } from './publisher-error.ts'
import type { ResolvedPublisherOptions } from './publisher-options.ts'

export interface Receipt {
  /** The cursor of the event, or null if it is transient. */
  readonly id: string | null
  /** How many open streams the event was addressed to. */
  readonly streams: number
}

/** The answer to a batch: receipts, or an error with the time after which the batch may be sent again. */
export type BatchAnswer =
  | { readonly receipts: readonly Receipt[] }
  | { readonly error: PublisherError; readonly retryAfter: number | undefined }

/** Statuses that pass. 507 does when the operator makes room. */
const RETRYABLE = new Set([408, 425, 429, 500, 502, 503, 504, 507])

/** Sends a batch of events, each as JSON, once. Never rejects. */
export async function sendBatch(
  events: readonly string[],
  { url, key, timeout, fetch }: ResolvedPublisherOptions
): Promise<BatchAnswer> {
  const headers = {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` })
  }
  try {
    const body = `[${events.join(',')}]`
    const signal = AbortSignal.timeout(timeout)
    const response = await fetch(`${url}/events`, { method: 'POST', headers, body, signal, redirect: 'error' })
    const answer = jsonOf(await response.text())
    if (response.status === 202 && Array.isArray(answer) && answer.length === events.length) return { receipts: answer }
    const retryAfter = RETRYABLE.has(response.status)
      ? Number(response.headers.get('retry-after') ?? 0) * 1_000 || 0
      : undefined
    return { error: errorOf(response.status, answer), retryAfter }
  } catch (cause) {
    const why = (cause as { cause?: { code?: string } }).cause?.code ?? (cause as Error).message
    return { error: new PublisherError('NETWORK', `the hub cannot be reached: ${why}`, { cause }), retryAfter: 0 }
  }
}

function errorOf(status: number, answer: unknown): PublisherError {
  const { code, message } = (answer ?? {}) as { code?: unknown; message?: unknown }
  return typeof code === 'string'
    ? new PublisherError(code, String(message), { status })
    : new PublisherError('HTTP', `the answer with status ${status} is not of a hub`, { status })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
