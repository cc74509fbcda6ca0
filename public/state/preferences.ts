import { effect, signal } from '@preact/signals'

/** Choices of the reader that stay on this machine. Without storage they last until the page is left. */

function stored<Value extends string>(key: string, values: readonly Value[], otherwise: Value) {
  let start = otherwise
  try {
    const found = localStorage.getItem(`sse-hub.${key}`)
    start = values.find((value) => value === found) ?? otherwise
  } catch {
    // Storage may be forbidden.
  }
  const choice = signal<Value>(start)
  effect(() => {
    const { value } = choice
    try {
      if (value === otherwise) localStorage.removeItem(`sse-hub.${key}`)
      else localStorage.setItem(`sse-hub.${key}`, value)
    } catch {
      // As above.
    }
  })
  return choice
}

export const LANGUAGES = ['en', 'zh'] as const
export type Language = (typeof LANGUAGES)[number]
export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const tag = (navigator.languages ?? []).find((name) => /^(zh|en)\b/i.test(name))
const preferred: Language = tag?.toLowerCase().startsWith('zh') ? 'zh' : 'en'

export const language = stored<Language>('language', LANGUAGES, preferred)
export const theme = stored<Theme>('theme', THEMES, 'system')
export const learn = stored('learn', ['shown', 'hidden'] as const, 'shown')

effect(() => {
  document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en'
})
effect(() => {
  const root = document.documentElement
  if (theme.value === 'system') root.removeAttribute('data-theme')
  else root.setAttribute('data-theme', theme.value)
})
