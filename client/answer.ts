import { jsonOrText } from './hub-event.ts'
import { type StreamEnd, StreamError } from './stream-end.ts'

/** Statuses after which the same request may succeed: timeout, too early, too many requests, failures of servers. */
const PASSING = /^(408|425|429|5..)$/

/**
 * The end of an attempt whose answer is not a stream of events; undefined for one that is.
 * @throws {StreamError} for an answer that is no stream, or that the runtime cannot read as one
 */
export async function endOfAnswer(response: Response, now: number): Promise<StreamEnd | undefined> {
  const { status, headers, body } = response
  if (status === 204) return { reason: 'gone', isFinal: true }
  if (status !== 200) {
    const wait = headers.get('retry-after') ?? ''
    return {
      reason: 'refused',
      isFinal: !PASSING.test(String(status)),
      error: await errorOf(response),
      // The header has seconds, or a date.
      retryAfter: Number(wait) * 1_000 || Date.parse(wait) - now || 0
    }
  }
  const type = headers.get('content-type') ?? ''
  if (!/^text\/event-stream\b/i.test(type)) throw new StreamError('content-type', type)
  if (!body) throw new StreamError('unsupported')
  return undefined
}

/** The error of an answer: that of the hub where the answer has one. */
export async function errorOf({ status, body }: Response): Promise<StreamError> {
  // Only the first piece: an error of the hub is short. Without one, the status says enough.
  const first = await body
    ?.getReader()
    .read()
    .catch(() => undefined)
  const refusal = jsonOrText(new TextDecoder().decode(first?.value)) as { code?: unknown; message?: unknown } | null
  return new StreamError(String(refusal?.code ?? 'refused'), refusal?.message ?? `status ${status}`, status)
}
