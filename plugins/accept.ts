const EVENT_STREAM = 'text/event-stream'
/** Browsers send some hundred characters; more is read by nobody. */
const MAX_LENGTH = 4_096
/** The media ranges that an event stream falls under, the most specific first: that one decides (RFC 9110 §12.5.1). */
const RANGES = [EVENT_STREAM, 'text/*', '*/*']

/** Whether an `Accept` header lets an event stream be the answer. None at all lets anything be. */
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
