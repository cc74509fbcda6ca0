import { publish } from './api.js'
import { byId, el } from './dom.js'
import { listenFor } from './event-names.js'
import { say } from './i18n.js'
import { jsonOf } from './json-view.js'
import { onSubmit, showResult } from './result.js'

export function sendForm(onSent) {
  const form = byId('send-form')
  const result = byId('send-result')
  const data = byId('send-data')

  const target = () => {
    const to = new FormData(form).get('to')
    for (const field of form.querySelectorAll('[data-for]')) {
      field.hidden = field.dataset.for !== to
      // A disabled field is neither required nor sent.
      field.querySelector('input').disabled = field.hidden
    }
  }
  const kind = () => say(byId('send-kind'), kindOf(data.value))

  form.addEventListener('change', target)
  data.addEventListener('input', kind)
  data.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
  })
  target()
  kind()

  onSubmit(form, result, async (fields) => {
    const to = fields.get('to')
    const draft = draftOf(fields)
    // Before sending, or the streams of this page would miss the first event of a new name.
    listenFor([draft.event])
    const { id, streams } = await publish[to](fields.get(to), draft)
    showResult(result, receiptKey(id, streams, to), { n: streams }, id && el('code', { text: id }))
    onSent()
  })
}

function draftOf(fields) {
  const text = fields.get('data')
  const draft = { event: fields.get('event').trim(), data: jsonOf(text) ?? text }
  if (fields.get('ttl')) draft.ttl = Number(fields.get('ttl'))
  if (fields.get('collapseKey')) draft.collapseKey = fields.get('collapseKey')
  if (fields.get('transient')) draft.transient = true
  return draft
}

function kindOf(text) {
  if (jsonOf(text) !== undefined) return 'send.kind.json'
  return /^\s*[[{]/.test(text) ? 'send.kind.broken' : 'send.kind.text'
}

function receiptKey(id, streams, to) {
  if (streams > 0) return id ? 'send.sent' : 'send.sent.transient'
  if (!id) return 'send.lost'
  return to === 'user' ? 'send.kept.user' : 'send.kept'
}
