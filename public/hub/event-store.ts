import { redrawSoon } from './frame-clock.ts'

/** How an event came on one stream. An id that comes twice on a stream would be a fault of the hub: it is shown. */
export type Mark = 'live' | 'replayed' | 'twice'
export type Tone = 'good' | 'wait' | 'bad' | 'end'

export interface EventRow {
  readonly kind: 'event'
  readonly seq: number
  /** When it first arrived, in milliseconds since 1970. */
  readonly time: number
  readonly name: string
  readonly data: string
  /** Empty for a transient event. */
  readonly id: string
  /** The id that the stream had before. */
  readonly previousId: string
  readonly raw: string
  /** How it came, by the key of the stream. */
  readonly marks: Map<number, Mark>
  readonly lowered: string
}

/** A change of one stream, between its events. */
export interface NoteRow {
  readonly kind: 'note'
  readonly seq: number
  readonly time: number
  readonly stream: number
  readonly text: string
  readonly params: Readonly<Record<string, unknown>>
  readonly tone: Tone
  readonly isGap: boolean
  readonly raw: string
}

export type Row = EventRow | NoteRow

type Arrival = Pick<EventRow, 'name' | 'data' | 'id' | 'previousId' | 'raw'>

/** Rows that the log keeps, and their text in characters. Beyond either bound the oldest rows are dropped, and counted. */
const MAX_ROWS = 100_000
const MAX_CHARACTERS = 64_000_000
/** Rows are dropped in pieces, because shifting an array costs its length. */
const PIECE = 5_000

/** The events of all streams, in the order of their arrival: an event that several streams receive is one row. */
export class EventStore {
  rows: Row[] = []
  dropped = 0
  /** All deliveries, and all events, since the page was opened. */
  deliveries = 0
  events = 0
  #seq = 0
  #characters = 0
  readonly #byId = new Map<string, EventRow>()
  readonly #listeners = new Set<(change: StoreChange) => void>()

  onChange(listener: (change: StoreChange) => void): void {
    this.#listeners.add(listener)
  }

  /** @param mayRepeat whether the stream lost its position, so that it receives events again */
  addEvent(stream: number, mark: Mark, mayRepeat: boolean, event: Arrival): EventRow {
    this.deliveries++
    const known = event.id === '' ? undefined : this.#byId.get(event.id)
    if (known !== undefined) {
      known.marks.set(stream, known.marks.has(stream) && !mayRepeat ? 'twice' : mark)
      redrawSoon()
      return known
    }
    this.events++
    const { name, data, id, previousId, raw } = event
    const lowered = `${name}\n${data}\n${id}`.toLowerCase()
    const marks = new Map([[stream, mark]])
    const row: EventRow = {
      kind: 'event',
      seq: ++this.#seq,
      time: Date.now(),
      name,
      data,
      id,
      previousId,
      raw,
      marks,
      lowered
    }
    if (id !== '') this.#byId.set(id, row)
    this.#append(row)
    return row
  }

  addNote(note: Omit<NoteRow, 'kind' | 'seq' | 'time'>): void {
    this.#append({ kind: 'note', seq: ++this.#seq, time: Date.now(), ...note })
  }

  clear(): void {
    this.rows = []
    this.#byId.clear()
    this.#characters = 0
    this.dropped = 0
    this.#emit({ kind: 'cleared' })
  }

  #append(row: Row): void {
    this.rows.push(row)
    this.#characters += sizeOf(row)
    if (this.rows.length > MAX_ROWS + PIECE || this.#characters > MAX_CHARACTERS) this.#drop()
    this.#emit({ kind: 'added', row })
  }

  #drop(): void {
    const dropped = this.rows.splice(0, Math.min(PIECE, this.rows.length - 1))
    for (const row of dropped) {
      this.#characters -= sizeOf(row)
      if (row.kind === 'event') this.#byId.delete(row.id)
    }
    this.dropped += dropped.length
    this.#emit({ kind: 'dropped', before: this.rows[0]?.seq ?? 0 })
  }

  #emit(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change)
    redrawSoon()
  }
}

export type StoreChange =
  | { readonly kind: 'added'; readonly row: Row }
  | { readonly kind: 'dropped'; readonly before: number }
  | { readonly kind: 'cleared' }

const sizeOf = (row: Row) => (row.kind === 'event' ? 2 * row.data.length + row.raw.length : row.raw.length)

export const store = new EventStore()
