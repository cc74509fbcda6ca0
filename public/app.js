import { checkKey } from './api.js'
import { connections } from './connections.js'
import { byId, commaList, el, icon } from './dom.js'
import { eventNames, listenFor, onNewNames } from './event-names.js'
import { hubStatus } from './hub-status.js'
import { preferredLanguage, setLanguage } from './i18n.js'
import { takeKey } from './key.js'
import { people } from './people.js'
import { onSubmit } from './result.js'
import { sendForm } from './send-form.js'
import { cut, StreamPanel } from './stream-panel.js'
import { TaskPanel } from './task-panel.js'

const panels = new Set()
const openPanels = () => [...panels].filter((panel) => panel.open)

const connection = connections(
  () => [...panels],
  () => openPanels().at(-1)?.stream.stop()
)
const askHub = hubStatus({ mayAsk: () => !connection.full(), onUsers: people(() => askHub()) })

function addPanel(Kind, options) {
  const panel = new Kind(options, (removed) => {
    panels.delete(removed)
    refresh()
    byId('streams').focus({ preventScroll: true })
  })
  panels.add(panel)
  panel.stream.addEventListener('change', refreshSoon)
  panel.stream.addEventListener('welcome', askHub)
  byId('panels').append(panel.root)
  refresh()
  return panel.root
}

/** Scrolls to a panel, which on a phone is far below the form that opened it. */
const show = (element) => element.scrollIntoView({ block: 'nearest' })

function refresh() {
  const streams = [...panels].filter((panel) => panel instanceof StreamPanel)
  byId('empty').hidden = panels.size > 0
  byId('cut-all').hidden = streams.length < 2
  byId('cut-all').disabled = !streams.some((panel) => panel.canBeCut)
  byId('nav-count').hidden = panels.size === 0
  byId('nav-count').textContent = openPanels().length
  connection.refresh()
  for (const panel of panels) panel.refresh()
}

// Draws a panel once a frame, because a replay of a thousand events changes it a thousand times.
let due = false
function refreshSoon() {
  if (due) return
  due = true
  setTimeout(() => {
    due = false
    refresh()
  })
}
setInterval(() => document.hidden || refresh(), 1000)

byId('open-form').addEventListener('submit', (event) => {
  event.preventDefault()
  const fields = new FormData(event.target)
  const replay = { none: {}, oldest: { from: 'oldest' }, last: { last: fields.get('last') } }[fields.get('replay')]
  const user = fields.get('user').trim()
  const topics = commaList(fields.get('topics'))
  show(addPanel(StreamPanel, { user, topics, replay }))
})

byId('open-replay').addEventListener('change', ({ target }) => {
  byId('open-last').hidden = target.value !== 'last'
})

byId('task-form').addEventListener('submit', (event) => {
  event.preventDefault()
  show(addPanel(TaskPanel, { steps: Number(new FormData(event.target).get('steps')) }))
})

byId('cut-all').prepend(icon('cut'))
byId('cut-all').addEventListener('click', () => cut([...panels].filter((panel) => panel instanceof StreamPanel)))

byId('tour').addEventListener('click', () => {
  for (const user of ['alice', 'alice', 'bob']) addPanel(StreamPanel, { user, topics: ['news'] })
  byId('streams').scrollIntoView()
  // The focused button is gone, so the focus moves to the streams.
  byId('streams').focus({ preventScroll: true })
})

for (const picks of document.querySelectorAll('[data-fills]')) {
  picks.addEventListener('click', ({ target }) => {
    if (target.matches('.pick')) byId(picks.dataset.fills).value = target.textContent
  })
}

const showNames = () =>
  byId('names-list').replaceChildren(...eventNames().map((name) => el('li', { class: 'chip', text: name })))
onNewNames(showNames)
byId('names').addEventListener('change', ({ target }) => listenFor(commaList(target.value)))
showNames()

sendForm(askHub)

onSubmit(byId('key-form'), byId('key-result'), async (fields) => {
  await takeKey(fields.get('key'), checkKey)
  byId('key-form').reset()
  byId('key-result').hidden = true
  void askHub()
})

for (const choice of document.querySelectorAll('[name=language]')) {
  choice.checked = choice.value === preferredLanguage()
  choice.addEventListener('change', () => setLanguage(choice.value))
}
setLanguage(preferredLanguage())
refresh()
