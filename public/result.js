import { el } from './dom.js'
import { worded } from './i18n.js'

/** Where a form says what came of it: a live region, so that it is read out too. */
export function showResult(root, key, params, ...children) {
  root.hidden = false
  root.dataset.tone = 'good'
  root.replaceChildren(el('span', { say: key, params }), ...children)
}

export function showError(root, { code, message }) {
  root.hidden = false
  root.dataset.tone = 'bad'
  root.replaceChildren(el('strong', { text: code }), ' ', el('span', { text: worded(message) }))
}

/** Runs what a form does, once at a time, and shows its error if it has one. */
export function onSubmit(form, result, run) {
  const button = form.querySelector('button[type=submit]')
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    button.disabled = true
    try {
      await run(new FormData(form))
    } catch (error) {
      showError(result, error)
    } finally {
      button.disabled = false
    }
  })
}
