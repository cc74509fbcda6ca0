/** Well-formed text of 1 to `maxBytes` bytes of UTF-8 without control characters (C0, DEL, C1). */
export function isBoundedText(value: unknown, maxBytes: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= maxBytes &&
    !/\p{Cc}/u.test(value) &&
    value.isWellFormed() &&
    Buffer.byteLength(value) <= maxBytes
  )
}

/** Describes a value from outside without repeating it, because it may be huge or secret. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`
  if (Array.isArray(value)) return `an array of ${value.length}`
  return value === null ? 'null' : typeof value
}
