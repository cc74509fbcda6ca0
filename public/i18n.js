import { en } from './texts-en.js'
import { zh } from './texts-zh.js'

// The English texts of index.html are in it; texts-en.js has only those of the code.
const ATTRIBUTES = ['aria-label', 'placeholder']
const LANGUAGES = { en: { texts: { ...en }, tag: 'en' }, zh: { texts: zh, tag: 'zh-CN' } }
const STORED = 'sse-hub.language'
const params = new WeakMap()
let language = 'en'

for (const element of document.querySelectorAll('[data-i18n]')) {
  LANGUAGES.en.texts[element.dataset.i18n] ??= element.textContent
}
for (const attribute of ATTRIBUTES) {
  for (const element of document.querySelectorAll(`[data-i18n-${attribute}]`)) {
    LANGUAGES.en.texts[element.getAttribute(`data-i18n-${attribute}`)] ??= element.getAttribute(attribute)
  }
}

export function t(key, values = {}) {
  const text = LANGUAGES[language].texts[key] ?? LANGUAGES.en.texts[key] ?? key
  return typeof text === 'function' ? text(values) : text
}

/** The text of an error. A message of the hub stays as it is; that of an error of this page is the key of a text. */
export const worded = (message) => (message in LANGUAGES.en.texts ? t(message) : message)

/** Sets a text that follows the language while the element is in the page. */
export function say(element, key, values) {
  element.dataset.i18n = key
  params.set(element, values)
  const text = t(key, values)
  // A screen reader would repeat a text that is set again.
  if (element.textContent !== text) element.textContent = text
}

export function sayAttribute(element, attribute, key) {
  element.setAttribute(`data-i18n-${attribute}`, key)
  element.setAttribute(attribute, t(key))
}

export function clockTime(date) {
  return date.toLocaleTimeString(LANGUAGES[language].tag, { hour12: false })
}

export function setLanguage(wanted) {
  language = wanted in LANGUAGES ? wanted : 'en'
  remember(language)
  document.documentElement.lang = LANGUAGES[language].tag
  for (const element of document.querySelectorAll('[data-i18n]')) {
    say(element, element.dataset.i18n, params.get(element))
  }
  for (const attribute of ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[data-i18n-${attribute}]`)) {
      sayAttribute(element, attribute, element.getAttribute(`data-i18n-${attribute}`))
    }
  }
  return language
}

export function preferredLanguage() {
  return recall() ?? (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en')
}

// localStorage throws where the browser blocks it; then the page does not remember the choice.
function remember(value) {
  try {
    localStorage.setItem(STORED, value)
  } catch {
    // See above: nothing is lost but the choice.
  }
}

function recall() {
  try {
    return localStorage.getItem(STORED)
  } catch {
    return null
  }
}
