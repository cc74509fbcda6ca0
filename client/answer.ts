import { type StreamEnd, StreamError } from './stream-end.ts'

/** Statuses below 500 after which the same request may succeed: timeout, too early, too many requests. */
const PASSING = new Set([408, 425, 429])

/** The end of an attempt whose answer is not a stream of events; undefined for one that is. */
export async function endOfAnswer(response: Response, now: number): Promise<StreamEnd | undefined> {
  const { status, headers, body } = response
  if (status === 204) return { reason: 'gone', isFinal: true }
  if (status !== 200) {
    return {
      reason: 'refused',
      isFinal: status < 500 && !PASSING.has(status),
      error: await errorOf(response),
      retryAfter: retryAfter(headers.get('retry-after'), now)
    }
  }
  const type = headers.get('content-type') ?? ''
  if (!/^text\/event-stream\b/i.test(type))
    return { reason: 'content-type', error: new StreamError('content-type', type) }
  if (!body)
    return { reason: 'unsupported', isFinal: true, error: new StreamError('unsupported', 'fetch does not stream') }
  return undefined
}

/** The error of an answer: that of the hub where the answer has one. */
export async function errorOf({ status, body }: Response): Promise<StreamError> {
  let told: { code?: unknown; message?: unknown } | null = null
  try {
    // Only the first piece: an error of the hub is short.
    told = JSON.parse(new TextDecoder().decode((await body?.getReader().read())?.value))
  } catch {
    // The status says enough.
  }
  return new StreamError(String(told?.code ?? 'refused'), String(told?.message ?? `status ${status}`), status)
}

/** In milliseconds: the header has seconds, or a date. */
function retryAfter(header: string | null, now: number): number {
  const seconds = Number(header)
  return (Number.isNaN(seconds) ? Date.parse(header ?? '') - now : seconds * 1_000) || 0
}
