import { el } from './dom.js'

const LONGEST = 8000
const ONE_LINE = 72
/** The end of the text also ends a string, because a shortened text may end within one. */
const TOKEN = /("(?:\\[\s\S]|[^"\\])*(?:"|\\?$))(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g

/** The data of an event: JSON indented and coloured, other text unchanged. */
export function dataView(text) {
  const value = jsonOf(text)
  if (value === undefined) return el('pre', { class: 'data', text: shortened(text) })
  const pre = el('pre', { class: 'data json' })
  colour(pre, shortened(laidOut(value)))
  return pre
}

/** The object or array in a text, if any: a lone number or word is more likely meant as text. */
export function jsonOf(text) {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function laidOut(value) {
  const pretty = JSON.stringify(value, null, 2)
  const flat = Object.values(value).every((part) => part === null || typeof part !== 'object')
  // A small flat object is easier to read in one line.
  const line = pretty.replace(/\n\s*/g, ' ')
  return flat && line.length <= ONE_LINE ? line : pretty
}

function colour(pre, text) {
  let from = 0
  for (const match of text.matchAll(TOKEN)) {
    const [whole, string, colon, number] = match
    pre.append(text.slice(from, match.index))
    const kind = colon ? 'key' : string ? 'string' : number ? 'number' : 'word'
    pre.append(el('span', { class: `json-${kind}`, text: string ?? whole }), colon ?? '')
    from = match.index + whole.length
  }
  pre.append(text.slice(from))
}

const shortened = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length})` : text)
