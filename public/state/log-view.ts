import { effect, signal } from '@preact/signals'
import { type Row, store } from '../hub/event-store.ts'
import { streams } from '../hub/streams.ts'
import { route } from './route.ts'

interface Filter {
  readonly users: readonly string[]
  readonly topics: readonly string[]
  readonly events: readonly string[]
  readonly words: readonly string[]
}

/** `user:alice topic:news event:order.* shipped`: the parts of a kind are alternatives, and each word must occur. */
export function parseFilter(text: string): Filter {
  const filter = { users: [] as string[], topics: [] as string[], events: [] as string[], words: [] as string[] }
  for (const part of text.split(/\s+/)) {
    const [, kind, name = ''] = /^(user|topic|event):(.+)$/.exec(part) ?? []
    if (kind === 'user') filter.users.push(name)
    else if (kind === 'topic') filter.topics.push(name)
    else if (kind === 'event') filter.events.push(name.toLowerCase())
    else if (part !== '') filter.words.push(part.toLowerCase())
  }
  return filter
}

/** Whether a name matches a pattern in which `*` stands for any text. */
function matches(name: string, pattern: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return name === first
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false
  let at = first.length
  for (const piece of rest) {
    const found = name.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return at <= name.length - last.length
}

/** The rows of the log that match the filter, in the order of their arrival. While it is paused they do not change. */
class LogView {
  rows: Row[] = []
  /** Changes with the rows. */
  version = 0
  /** Rows that arrived during the pause. */
  waiting = 0
  isPaused = signal(false)
  #filter = parseFilter('')
  #keys: Set<number> | undefined
  #dropped = 0

  constructor() {
    store.onChange((change) => {
      if (change.kind === 'cleared') this.#rebuild()
      else if (change.kind === 'dropped') this.#drop(change.before)
      else if (this.isPaused.value) this.waiting += this.#matches(change.row) ? 1 : 0
      else if (this.#matches(change.row)) {
        this.rows.push(change.row)
        this.version++
      }
    })
    effect(() => {
      this.#filter = parseFilter(route.value.filter)
      const { users, topics } = this.#filter
      const isOfStreams = users.length > 0 || topics.length > 0
      const chosen = streams.value.filter(
        ({ wish }) =>
          (users.length === 0 || users.includes(wish.user)) &&
          (topics.length === 0 || wish.topics.some((topic) => topics.includes(topic)))
      )
      this.#keys = isOfStreams ? new Set(chosen.map(({ key }) => key)) : undefined
      this.#rebuild()
    })
  }

  /** Rows that were dropped from the front since the view was opened: a list that scrolls follows them. */
  get droppedRows(): number {
    return this.#dropped
  }

  pause(isPaused: boolean): void {
    this.isPaused.value = isPaused
    if (!isPaused) this.#rebuild()
  }

  #rebuild(): void {
    this.rows = store.rows.filter((row) => this.#matches(row))
    this.waiting = 0
    this.version++
  }

  #drop(before: number): void {
    let count = 0
    while (count < this.rows.length && (this.rows[count] as Row).seq < before) count++
    if (count === 0) return
    this.rows.splice(0, count)
    this.#dropped += count
    this.version++
  }

  #matches(row: Row): boolean {
    const { events, words } = this.#filter
    const keys = this.#keys
    if (row.kind === 'note') return words.length === 0 && events.length === 0 && (!keys || keys.has(row.stream))
    if (keys !== undefined && ![...row.marks.keys()].some((key) => keys.has(key))) return false
    if (events.length > 0 && !events.some((event) => matches(row.name.toLowerCase(), event))) return false
    return words.every((word) => row.lowered.includes(word))
  }
}

export const logView = new LogView()
