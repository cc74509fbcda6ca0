import { isTrace, MAX_TRACESTATE, traceHeadersOf } from '../../events/trace.ts'

// Scripts of earlier versions read an entry only if its first line ends with numbers, and skip those that they do not know.
// So a trace is stored as numbers: trace id, span id, flags and, if there is one, the characters of the tracestate.

/** Max. number of digits of each. */
const MAX_DIGITS = [39, 20, 3, Math.ceil(MAX_TRACESTATE * Math.log10(256)) + 1]
const HEX_DIGITS = [32, 16, 2]

export function digitsOf(trace: string): string {
  const { traceparent, tracestate } = traceHeadersOf(trace)
  const [, ...fields] = traceparent.split('-')
  if (tracestate !== undefined) fields.push(Buffer.from(tracestate, 'latin1').toString('hex'))
  return fields.map((hex) => BigInt(`0x${hex}`).toString()).join(' ')
}

/** The trace, or undefined for numbers that no hub has written. */
export function traceOfDigits(numbers: readonly string[]): string | undefined {
  if (numbers.length < 3 || numbers.length > 4) return undefined
  if (!numbers.every((digits, at) => /^\d+$/.test(digits) && digits.length <= (MAX_DIGITS[at] as number)))
    return undefined
  const fields = numbers.map((digits, at) =>
    BigInt(digits)
      .toString(16)
      .padStart(HEX_DIGITS[at] ?? 0, '0')
  )
  const [traceId, spanId, flags, state] = fields
  const tracestate = state === undefined ? '' : ` ${Buffer.from(state, 'hex').toString('latin1')}`
  const trace = `00-${traceId}-${spanId}-${flags}${tracestate}`
  return isTrace(trace) ? trace : undefined
}
