import { say, sayAttribute } from './i18n.js'

/**
 * Builds an element. Content of a stream always becomes text; the function does not accept markup.
 * `say` is the key of a text that follows the language; `text` is for content without a language: names, ids, data.
 */
export function el(tag, { class: name, text, say: key, params, on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag)
  if (name) element.className = name
  if (text !== undefined) element.textContent = text
  if (key) say(element, key, params)
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener)
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute === 'sayLabel') sayAttribute(element, 'aria-label', value)
    else if (value !== undefined && value !== false) element.setAttribute(attribute, value === true ? '' : value)
  }
  element.append(...children.filter(Boolean))
  return element
}

export const byId = (id) => document.getElementById(id)

/** '1a, b ,,c' → ['1a', 'b', 'c'] */
export const commaList = (text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)

const SHAPES = {
  heart: 'M12 20s-7.5-4.6-7.5-10.2A4.3 4.3 0 0 1 12 7.2a4.3 4.3 0 0 1 7.5 2.6C19.5 15.4 12 20 12 20z',
  cut: 'M6 3.5 18 16M18 3.5 6 16M6 20.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM18 20.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  stop: 'M7 7h10v10H7z',
  again: 'M19 12a7 7 0 1 1-2.2-5.1M19 4v4.5h-4.5',
  remove: 'M6.5 6.5l11 11M17.5 6.5l-11 11'
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', `icon icon-${name}`)
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  path.setAttribute('d', SHAPES[name])
  svg.append(path)
  return svg
}
