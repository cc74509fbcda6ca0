const EVENT_STREAM = 'text/event-stream'
/** Browsers send some hundred characters; characters beyond this bound are ignored. */
const MAX_LENGTH = 4_096
/** The media ranges that match an event stream. The most specific comes first, and decides (RFC 9110 §12.5.1). */
const RANGES = [EVENT_STREAM, 'text/*', '*/*']

/** Whether an `Accept` header allows an event stream as the response. A missing header allows everything. */
export function acceptsEventStream(accept: string | undefined): boolean {
  if (accept === undefined || accept === EVENT_STREAM || accept.trim() === '') return true
  const weights = new Map<string, number>()
  for (const part of accept.slice(0, MAX_LENGTH).split(',')) {
    const [range = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))
    weights.set(range, weight === undefined ? 1 : Number(weight.slice(2)))
  }
  const decisive = RANGES.find((range) => weights.has(range))
  return decisive !== undefined && (weights.get(decisive) as number) > 0
}
