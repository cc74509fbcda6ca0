import { el } from './dom.js'
import { worded } from './i18n.js'

/** Shows the result of a form in a live region, which screen readers announce. */
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

/** Runs the action of a form, once at a time, and shows its error if it fails. */
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
