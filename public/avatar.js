import { el } from './dom.js'

const HUES = 8

/** A user's mark: the first letter, in a colour that is always the same for that name. */
export function avatar(user) {
  let hue = 0
  for (const letter of user) hue = (hue * 31 + letter.codePointAt(0)) % HUES
  return el('span', { class: `avatar hue-${hue}`, text: [...user][0]?.toUpperCase(), 'aria-hidden': 'true' })
}
