import { signal } from '@preact/signals'

/** The API key or token, in the memory of this page only: a reload removes it. */
export const credential = signal('')

export const keyDialogIsOpen = signal(false)

export function authorization(): Record<string, string> {
  return credential.value ? { authorization: `Bearer ${credential.value}` } : {}
}
