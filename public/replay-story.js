import { el } from './dom.js'
import { say, worded } from './i18n.js'

const STEPS = ['cut', 'published', 'back']
/** Milliseconds after the reconnection, after which an absent event counts as missing. */
const PATIENCE = 3000

/** The steps that a panel shows for a cut connection: cut → published meanwhile → back, with exactly the missed events. */
export class ReplayStory {
  #steps = Object.fromEntries(STEPS.map((name) => [name, el('li', {})]))
  #end = el('p', { class: 'story-end', role: 'status' })
  root = el('div', { class: 'story', hidden: true }, el('ol', {}, ...Object.values(this.#steps)), this.#end)
  #expected // how many events will be published
  #published // their ids
  #arrivals // ids that arrived since the cut, and whether as replay: an event may arrive before its receipt
  #cutAt
  #backAfter
  #late
  #gapped

  begin(expected) {
    clearTimeout(this.#late)
    this.#expected = expected
    this.#published = []
    this.#arrivals = new Map()
    this.#cutAt = performance.now()
    this.#backAfter = undefined
    this.#gapped = false
    this.root.hidden = false
    this.root.removeAttribute('data-tone')
    this.#end.textContent = ''
    delete this.#end.dataset.i18n
    this.#step('cut', 'doing', 'story.cutting')
    this.#step('published', 'todo', 'story.published', { n: 0, of: expected })
    this.#step('back', 'todo', 'story.back.todo')
  }

  /** Follows one call to the hub: the cut itself, or one of the events published meanwhile. Resolves to its success. */
  async tell(call, step) {
    try {
      const receipt = await call
      if (step === 'cut') this.#wasCut()
      else this.#wasPublished(receipt)
    } catch (error) {
      this.#step(step, 'failed', 'story.failed', {
        code: error.code,
        message: worded(error.message)
      })
      return false
    }
    return true
  }

  back() {
    if (!this.#unfinished || this.#backAfter !== undefined) return
    this.#backAfter = (performance.now() - this.#cutAt) / 1000
    this.#late = setTimeout(() => this.#finish(), PATIENCE)
    this.#review()
  }

  arrived(id, replayed) {
    if (!this.#unfinished) return
    // A duplicate id would be a fault of the replay, so it is counted, not hidden.
    const times = (this.#arrivals.get(id)?.times ?? 0) + 1
    this.#arrivals.set(id, { replayed, times })
    this.#review()
  }

  gap() {
    this.#gapped = true
  }

  /** The stream was closed meanwhile: no more events will arrive. */
  abandon() {
    if (this.#unfinished) this.root.hidden = true
  }

  get #unfinished() {
    return this.#published && !this.root.dataset.tone
  }

  #wasCut() {
    this.#step('cut', 'done', 'story.cut')
    this.#step('published', 'doing', 'story.published', { n: 0, of: this.#expected })
    if (this.#backAfter === undefined) this.#step('back', 'doing', 'story.back.waiting')
  }

  #wasPublished({ id }) {
    this.#published.push(id)
    const n = this.#published.length
    this.#step('published', n === this.#expected ? 'done' : 'doing', 'story.published', { n, of: this.#expected })
    this.#review()
  }

  #review() {
    if (this.#backAfter === undefined) return
    const seconds = this.#backAfter.toFixed(1)
    const here = this.#published.filter((id) => this.#arrivals.has(id))
    this.#step('back', 'doing', 'story.back.now', { seconds, n: here.length, of: this.#expected })
    if (here.length === this.#expected) this.#finish()
  }

  #finish() {
    clearTimeout(this.#late)
    const arrivals = this.#published.map((id) => this.#arrivals.get(id))
    const n = arrivals.filter((arrival) => arrival?.replayed).length
    const live = arrivals.filter((arrival) => arrival && !arrival.replayed).length
    const complete = n + live === this.#expected && arrivals.every(({ times }) => times === 1)
    const seconds = this.#backAfter.toFixed(1)
    this.#step('back', complete ? 'done' : 'failed', 'story.back.now', { seconds, n: n + live, of: this.#expected })
    const words = this.#gapped ? 'story.gapped' : complete ? 'story.exact' : 'story.wrong'
    say(this.#end, words, { n, live, of: this.#expected })
    this.root.dataset.tone = words === 'story.exact' ? 'good' : 'bad'
  }

  #step(name, progress, key, params) {
    this.#steps[name].className = progress
    say(this.#steps[name], key, params)
  }
}
