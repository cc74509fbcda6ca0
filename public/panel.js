import { el, icon } from './dom.js'
import { EventList } from './event-list.js'
import { say } from './i18n.js'

let made = 0

/** The common part of the panels of a stream and of a task: frame, state, log, stop, start again, remove. */
export class Panel {
  #pill = el('span', { class: 'pill', role: 'status' })
  #stop = action('stop', 'panel.stop', () => this.stream.stop())
  #again = action('again', 'panel.again', () => this.stream.start())
  #remove = el('button', { class: 'bare', type: 'button', sayLabel: 'panel.remove' }, icon('remove'))
  stream
  head = el('div', { class: 'panel-facts' })
  actions = el('div', { class: 'actions' }, this.#stop, this.#again)
  root

  constructor(stream, { title, avatar }, onRemove) {
    this.stream = stream
    const titleId = `panel-${++made}`
    title.id = titleId
    const list = new EventList(titleId)
    this.root = el(
      'article',
      { class: 'panel', 'aria-labelledby': titleId },
      el('header', { class: 'panel-head' }, avatar, title, this.#pill, this.#remove),
      this.head,
      this.actions,
      list.root
    )
    this.#remove.addEventListener('click', () => {
      stream.stop()
      this.root.remove()
      onRemove(this)
    })
    stream.addEventListener('entry', ({ detail }) => list.add(detail))
  }

  /** Called after each change, and once a second for values that depend on the time: age and staleness. */
  refresh() {
    const { stream } = this
    const { key, tone } = stateOf(stream)
    if (this.#pill.dataset.tone !== tone) this.#pill.dataset.tone = tone
    say(this.#pill, key, { reason: stream.reason })
    const [shown, hidden] = this.open ? [this.#stop, this.#again] : [this.#again, this.#stop]
    const focused = hidden === document.activeElement
    hidden.hidden = true
    shown.hidden = false
    // The focus moves to the button that replaced the focused one.
    if (focused) shown.focus()
  }

  get open() {
    return this.stream.state !== 'closed'
  }
}

const ENDS = {
  undefined: { key: 'state.ended', tone: 'end' },
  stopped: { key: 'state.stopped', tone: 'end' },
  gone: { key: 'state.gone', tone: 'end' },
  refused: { key: 'state.refused', tone: 'bad' },
  finished: { key: 'state.done', tone: 'done' }
}

function stateOf(stream) {
  if (stream.stale) return { key: 'state.stale', tone: 'wait' }
  if (stream.state === 'open') return { key: 'state.open', tone: 'good' }
  if (stream.state !== 'closed') return { key: `state.${stream.state}`, tone: 'wait' }
  return ENDS[stream.reason] ?? { key: 'state.closed', tone: 'end' }
}

export function action(symbol, key, listener) {
  return el(
    'button',
    { class: 'small', type: 'button', on: { click: listener } },
    icon(symbol),
    el('span', { say: key })
  )
}

/** A count: <dt> its name, <dd> its number. */
export function fact(key) {
  const value = el('dd', { text: '0' })
  return { root: el('div', { class: 'count' }, el('dt', { say: key }), value), value }
}
