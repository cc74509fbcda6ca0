/**
 * One block of an event stream, as WHATWG HTML §9.2.6 reads it.
 */
export interface Frame {
  /** The text that the server sent, up to and with the blank line that ends the block, comments included. */
  readonly raw: string
  /** The name of the event; `message` where the block has none. */
  readonly event: string
  /** The data as text; undefined in a block without data, which is no event. */
  readonly data: string | undefined
  /** The last event ID that the block sets; undefined in a block without one. */
  readonly id: string | undefined
  /** The reconnection time that the block sets, in milliseconds. */
  readonly retry: number | undefined
}

/** Reads frames from text that arrives in pieces. A block whose end never arrives yields no frame. */
export class FrameParser {
  readonly #limit: number
  /** The parts of a block of which the end has not come. */
  #raw = ''
  #line = ''
  #endedWithCr = false
  #event = ''
  #data: string | undefined
  #id: string | undefined
  #retry: number | undefined

  /** @param limit the maximum length of a block */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit
  }

  /** @throws {RangeError} for a block longer than the limit. */
  *feed(text: string): Generator<Frame, void, void> {
    const lineEnd = /\r\n?|\n/g
    let blockStart = 0
    let start = 0
    if (this.#endedWithCr && text !== '') {
      this.#endedWithCr = false
      if (text[0] === '\n') start = lineEnd.lastIndex = 1
    }
    for (let match = lineEnd.exec(text); match !== null; match = lineEnd.exec(text)) {
      const line = this.#line + text.slice(start, match.index)
      start = lineEnd.lastIndex
      this.#line = ''
      this.#endedWithCr = match[0] === '\r' && start === text.length
      if (line !== '') this.#field(line)
      else {
        const frame = this.#frame(this.#raw + text.slice(blockStart, start))
        blockStart = start
        this.#raw = ''
        yield frame
      }
    }
    this.#line += text.slice(start)
    this.#raw += text.slice(blockStart)
    if (this.#raw.length > this.#limit) throw new RangeError(`a block of more than ${this.#limit} characters`)
  }

  #field(line: string): void {
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
    else if (name === 'event') this.#event = value
    else if (name === 'id' && !value.includes('\0')) this.#id = value
    else if (name === 'retry' && /^\d+$/.test(value)) this.#retry = Number(value)
  }

  #frame(raw: string): Frame {
    const frame = { raw, event: this.#event || 'message', data: this.#data, id: this.#id, retry: this.#retry }
    this.#event = ''
    this.#data = this.#id = this.#retry = undefined
    return frame
  }
}
