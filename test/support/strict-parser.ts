/** A dispatched event. */
export interface Dispatched {
  readonly event: string
  readonly data: string
  /** The last event ID at that moment, from this event or an earlier one. */
  readonly lastEventId: string
  /** The id field of this event, if it had one. */
  readonly id: string | undefined
}

/**
 * An event stream parser that follows WHATWG HTML §9.2.6 literally, so that it can judge the others. Takes bytes in any
 * pieces; throws on bytes that are not UTF-8, because a stream must be UTF-8.
 */
export class StrictParser {
  readonly events: Dispatched[] = []
  readonly comments: string[] = []
  reconnectionTime: number | undefined
  lastEventId = ''
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #text = ''
  #isStart = true
  #data = ''
  #event = ''
  #idBuffer = ''
  #id: string | undefined

  /** Returns the events that this piece dispatches. */
  feed(bytes: Uint8Array): Dispatched[] {
    const before = this.events.length
    this.#text += this.#decoder.decode(bytes, { stream: true })
    // "one leading U+FEFF BYTE ORDER MARK character must be ignored if any are present"
    if (this.#isStart && this.#text !== '') {
      if (this.#text.startsWith('\uFEFF')) this.#text = this.#text.slice(1)
      this.#isStart = false
    }
    for (;;) {
      const end = /\r\n|\n|\r/.exec(this.#text)
      // A CR at the very end may be the first half of a CRLF.
      if (end === null || (end[0] === '\r' && end.index === this.#text.length - 1)) break
      this.#line(this.#text.slice(0, end.index))
      this.#text = this.#text.slice(end.index + end[0].length)
    }
    return this.events.slice(before)
  }

  /** Whether no partial event is left: a stream must end on an event boundary. */
  get isAtBoundary(): boolean {
    return this.#text === '' && this.#data === '' && this.#event === '' && this.#id === undefined
  }

  #line(line: string): void {
    const colon = line.indexOf(':')
    if (line === '') this.#dispatch()
    else if (colon === 0) this.comments.push(line.slice(1))
    else this.#fieldOf(line, colon)
  }

  #fieldOf(line: string, colon: number): void {
    const name = colon === -1 ? line : line.slice(0, colon)
    const rest = colon === -1 ? '' : line.slice(colon + 1)
    this.#field(name, rest.startsWith(' ') ? rest.slice(1) : rest)
  }

  #field(name: string, value: string): void {
    if (name === 'event') this.#event = value
    else if (name === 'data') this.#data += `${value}\n`
    else if (name === 'id') {
      if (!value.includes('\0')) {
        this.#idBuffer = value
        this.#id = value
      }
    } else if (name === 'retry' && /^[0-9]+$/.test(value)) this.reconnectionTime = Number(value)
  }

  #dispatch(): void {
    this.lastEventId = this.#idBuffer
    const id = this.#id
    this.#id = undefined
    const [data, event] = [this.#data, this.#event]
    this.#data = ''
    this.#event = ''
    if (data === '') return
    this.events.push({
      event: event === '' ? 'message' : event,
      data: data.slice(0, -1),
      lastEventId: this.lastEventId,
      id
    })
  }
}
