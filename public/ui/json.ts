/** JSON as text: it is never turned into values and back, so numbers, duplicate keys and their order stay what they are. */

export type Format = 'json' | 'broken' | 'text'

/** Whether a text is JSON, looks like JSON that is broken, or is plain text. */
export function formatOf(text: string): Format {
  try {
    JSON.parse(text)
    return 'json'
  } catch {
    return /^\s*[[{]/.test(text) ? 'broken' : 'text'
  }
}

export interface Token {
  readonly kind: 'key' | 'string' | 'number' | 'word' | 'mark' | 'space'
  readonly text: string
}

/** Longer texts are shown as they are: indenting them would stall the page. */
const MAX_INDENTED = 200_000

const WORD = /[-+.\w]+/y

/** The tokens of a text that is known to be JSON. */
function tokensOf(text: string): string[] {
  const tokens: string[] = []
  let at = 0
  while (at < text.length) {
    const end = endOfToken(text, at)
    const token = text.slice(at, end)
    if (token.trim() !== '') tokens.push(token)
    at = end
  }
  return tokens
}

function endOfToken(text: string, start: number): number {
  if (text[start] === '"') {
    let at = start + 1
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
    return at + 1
  }
  WORD.lastIndex = start
  return WORD.test(text) ? WORD.lastIndex : start + 1
}

/** The tokens of a JSON text with line breaks and indents between them, or undefined for another text. */
export function indented(text: string): Token[] | undefined {
  if (text.length > MAX_INDENTED || formatOf(text) !== 'json') return undefined
  const found = tokensOf(text)
  const tokens: Token[] = []
  let depth = 0
  const line = () => tokens.push({ kind: 'space', text: `\n${'  '.repeat(depth)}` })
  for (const [index, token] of found.entries()) {
    const next = found[index + 1]
    if (token === '{' || token === '[') {
      tokens.push({ kind: 'mark', text: token })
      depth++
      if (next !== '}' && next !== ']') line()
    } else if (token === '}' || token === ']') {
      depth--
      if (found[index - 1] !== '{' && found[index - 1] !== '[') line()
      tokens.push({ kind: 'mark', text: token })
    } else if (token === ',') {
      tokens.push({ kind: 'mark', text: token })
      line()
    } else if (token === ':') tokens.push({ kind: 'mark', text: ': ' })
    else tokens.push({ kind: kindOf(token, next), text: token })
  }
  return tokens
}

function kindOf(token: string, next: string | undefined): Token['kind'] {
  if (token.startsWith('"')) return next === ':' ? 'key' : 'string'
  return /^[-0-9]/.test(token) ? 'number' : 'word'
}
