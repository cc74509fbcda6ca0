import { isBoundedText } from '../text.ts'

/** A name takes 256 bytes, and a pattern one more for its `*`. */
const MAX_PATTERN_BYTES = 257

/** A parsed pattern of names, in which a `*` at the end is either the wildcard or part of the name. */
export interface NamePattern {
  /** The name, or the beginning of all names that the pattern matches. */
  readonly text: string
  readonly isPrefix: boolean
}

/** Whether a value is a pattern of names: a name, or the beginning of names and then `*`. */
export function isPattern(value: unknown): value is string {
  return isBoundedText(value, MAX_PATTERN_BYTES)
}

/**
 * Reads a percent-encoded pattern. The wildcard is the `*` that is written as such: `bob%2A` is the name `bob*`.
 * @returns undefined for text that is not a pattern.
 */
export function parsePattern(encoded: string): NamePattern | undefined {
  const isPrefix = encoded.endsWith('*')
  const text = decoded(isPrefix ? encoded.slice(0, -1) : encoded)
  if (text === undefined || !isPattern(isPrefix ? `${text}*` : text)) return undefined
  return { text, isPrefix }
}

/** Whether one of the patterns matches the name. */
export function isMatched(patterns: readonly NamePattern[], name: string): boolean {
  return patterns.some(({ text, isPrefix }) => (isPrefix ? name.startsWith(text) : name === text))
}

/**
 * Whether one of the patterns equals the name, or ends with `*` and the name begins with the text before it. The name may be
 * a pattern itself: then the others match every name that it matches.
 */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some(
    (pattern) => pattern === name || (pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1)))
  )
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // A pattern that cannot be decoded matches no name.
    return undefined
  }
}
