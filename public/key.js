import { byId } from './dom.js'

/** The key for a locked hub. It is stored only in this variable, so a reload removes it. */
let key = ''

export const hasKey = () => key !== ''

export const credentials = () => (key ? { authorization: `Bearer ${key}` } : {})

/** Shows the form for a key, unless a key is set: then a refusal is due to that key, and the form of the call shows it. */
export function askForKey() {
  if (!hasKey()) byId('key').hidden = false
}

/** Sets a key, unless `check` rejects it. */
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
