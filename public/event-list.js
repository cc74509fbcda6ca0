import { el } from './dom.js'
import { clockTime } from './i18n.js'
import { dataView } from './json-view.js'

const MOST_ROWS = 500

/** A panel's log, oldest first. It follows the newest row until the reader scrolls away from it. */
export class EventList {
  #rows = el('ol', { class: 'rows' })
  #quiet = el('p', { class: 'quiet', say: 'list.quiet' })
  #newest = el('button', { class: 'newest', type: 'button', say: 'list.newest', hidden: true })
  #scroller = el('div', { class: 'scroller', tabindex: '0', role: 'log', 'aria-live': 'off' }, this.#quiet, this.#rows)
  #following = true
  #drawing = false
  #top = 0
  root = el('div', { class: 'event-list' }, this.#scroller, this.#newest)

  constructor(labelledBy) {
    this.#scroller.setAttribute('aria-labelledby', labelledBy)
    this.#scroller.addEventListener('scroll', () => this.#scrolled())
    this.#newest.addEventListener('click', () => this.#follow())
    // A message above the list shrinks it; the newest row stays visible.
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(this.#scroller)
  }

  add(entry) {
    this.#quiet.hidden = true
    this.#rows.append(row(entry))
    while (this.#rows.childElementCount > MOST_ROWS) this.#rows.firstElementChild.remove()
    if (this.#following) this.#toEnd()
    else this.#newest.hidden = false
  }

  // Only an upward scroll stops following: new rows also increase the distance to the end.
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller
    if (scrollHeight - scrollTop - clientHeight < 24) this.#following = true
    else if (scrollTop < this.#top) this.#following = false
    this.#top = scrollTop
    if (this.#following) this.#newest.hidden = true
  }

  #follow() {
    this.#following = true
    this.#newest.hidden = true
    this.#scroller.focus({ preventScroll: true })
    this.#toEnd()
  }

  // Once a frame, because measuring after each of a thousand replayed rows would cause a thousand layouts.
  #toEnd() {
    if (this.#drawing) return
    this.#drawing = true
    requestAnimationFrame(() => {
      this.#drawing = false
      this.#scroller.scrollTop = this.#scroller.scrollHeight
    })
  }
}

const ROWS = {
  event({ name, id, data, replayed, time }) {
    return el(
      'li',
      { class: replayed ? 'row replayed' : 'row' },
      el(
        'div',
        { class: 'row-head' },
        stamp(time),
        el('span', { class: 'name', text: name }),
        replayed && el('span', { class: 'badge', say: 'list.replayed' }),
        el('span', { class: 'id', text: id, title: id })
      ),
      dataView(data)
    )
  },

  gap({ from, oldest, reason, time }) {
    return el(
      'li',
      { class: 'note-row gap', 'data-tone': 'bad' },
      stamp(time),
      el(
        'span',
        {},
        el('strong', { say: 'list.gap' }),
        ' ',
        el('span', { say: 'list.gap.what', params: { from, oldest, reason } })
      )
    )
  },

  note({ key, params, tone, time }) {
    return el('li', { class: 'note-row', 'data-tone': tone }, stamp(time), el('span', { say: key, params }))
  }
}

const row = (entry) => ROWS[entry.kind](entry)
const stamp = (time) => el('time', { text: clockTime(time), datetime: time.toISOString() })
