import { el } from './dom.js'
import { HubStream } from './hub-stream.js'
import { say } from './i18n.js'
import { jsonOf } from './json-view.js'
import { Panel } from './panel.js'

/** A finite stream, followed to its end, which is not an error. */
export class TaskPanel extends Panel {
  #steps
  #step = 0
  #bar
  #words = el('p', { class: 'progress-words' })

  constructor({ steps }, onRemove) {
    const title = el('h3', { say: 'task.panel', params: { steps } })
    const avatar = el('span', { class: 'avatar task', text: '✓', 'aria-hidden': 'true' })
    super(new HubStream(`tasks/demo?steps=${steps}`), { title, avatar }, onRemove)
    this.#steps = steps
    this.#bar = el('progress', { max: steps, value: 0, sayLabel: 'task.progress' })
    this.head.append(this.#bar, this.#words)
    this.stream.addEventListener('entry', ({ detail }) => this.#progress(detail))
    this.stream.start()
  }

  refresh() {
    super.refresh()
    const done = this.stream.reason === 'finished'
    this.root.classList.toggle('finished', done)
    say(this.#words, done ? 'task.done' : 'task.step', { step: this.#step, steps: this.#steps })
  }

  #progress({ kind, name, data }) {
    if (kind !== 'event') return
    this.#step = name === 'done' ? this.#steps : (jsonOf(data)?.step ?? this.#step)
    this.#bar.value = this.#step
  }
}
