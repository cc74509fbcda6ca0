import type { FastifyInstance } from 'fastify'
import { JsonTooComplexError } from '../services/errors.ts'

/** Twice the depth of event data, so that data which is a little too deep is refused with its own error. */
const MAX_DEPTH = 128
/**
 * Maximum number of values in a body: parsing, checking and serializing cost more per value than per byte. A million short
 * values block the event loop for about a second.
 */
const MAX_VALUES = 200_000

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Accepts JSON bodies only: any page in a browser could send a form or plain text without a preflight. Property names that
 * reach into prototypes are always refused, also if the host's parser allows them.
 */
export function takeJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    // Some clients send the type with every request. A route that takes a body refuses its absence.
    const error = complexityError(body)
    if (body === '') done(null, undefined)
    else if (error !== undefined) done(error)
    else void parse(request, body, done)
  })
}

/** Why a text is not parsed. */
export function complexityError(text: string): Error | undefined {
  return isTooComplex(text) ? new JsonTooComplexError(MAX_DEPTH, MAX_VALUES) : undefined
}

/** Whether a text exceeds the maximum depth or number of values. Reads each character once, and parses nothing. */
export function isTooComplex(text: string): boolean {
  let depth = 0
  let values = 1
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case COMMA:
        if (++values > MAX_VALUES) return true
        break
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++depth > MAX_DEPTH || ++values > MAX_VALUES) return true
        break
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--
        break
    }
  }
  return false
}

/** The position of the quote that ends the string, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return text.length
}
