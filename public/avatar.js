import { el } from './dom.js'

const HUES = 8

/** The avatar of a user: the first letter, in a colour that depends on the name alone. */
export function avatar(user) {
  let hue = 0
  for (const letter of user) hue = (hue * 31 + letter.codePointAt(0)) % HUES
  return el('span', { class: `avatar hue-${hue}`, text: [...user][0]?.toUpperCase(), 'aria-hidden': 'true' })
}
