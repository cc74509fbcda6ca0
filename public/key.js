import { byId } from './dom.js'

/** What a locked hub is shown. It is in this variable and nowhere else: a reload forgets it. */
let key = ''

export const hasKey = () => key !== ''

export const credentials = () => (key ? { authorization: `Bearer ${key}` } : {})

/** Shows the field. Once there is a key, what is refused is refused to that key, and its form says so. */
export function askForKey() {
  if (!hasKey()) byId('key').hidden = false
}

/** Takes a key if `check` does not reject it. */
export async function takeKey(text, check) {
  const before = key
  key = text.trim()
  try {
    await check()
    byId('key').hidden = true
  } catch (error) {
    key = before
    throw error
  }
}
