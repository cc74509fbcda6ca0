import { may } from '../hub/health.ts'
import { openStreamDialog, palette, sendDialog } from './dialogs.ts'
import { logView } from './log-view.ts'

/** Keys that work wherever no field has the focus; Ctrl+K and ⌘K work everywhere. */
const KEYS: Record<string, () => void> = {
  o: () => (openStreamDialog.value = true),
  s: () => {
    if (may('publish')) sendDialog.value = true
  },
  p: () => logView.pause(!logView.isPaused.value),
  '/': () => document.querySelector<HTMLInputElement>('.log-tools input')?.focus()
}

export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    if (document.querySelector('dialog[open]') !== null) return
    if (event.key.toLowerCase() === 'k' && (event.metaKey || event.ctrlKey)) palette.value = true
    else {
      const { target } = event
      const isTyping = target instanceof HTMLElement && target.matches('input, textarea, select')
      const action = isTyping || event.metaKey || event.ctrlKey || event.altKey ? undefined : KEYS[event.key]
      if (action === undefined) return
      action()
    }
    event.preventDefault()
  })
}
