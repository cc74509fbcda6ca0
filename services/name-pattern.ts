import { isBoundedText } from './channel.ts'

/** A name takes 256 bytes, and a pattern one more for its `*`. */
const MAX_PATTERN_BYTES = 257

/** Whether a value is a pattern of names: a name, or the beginning of names and then `*`. */
export function isPattern(value: unknown): value is string {
  return isBoundedText(value, MAX_PATTERN_BYTES)
}

/**
 * Whether one of the patterns is that name, or ends with `*` and the name begins with what stands before it. The name may be
 * a pattern itself: then every name that it matches is matched by the others, too.
 */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some(
    (pattern) => pattern === name || (pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1)))
  )
}
