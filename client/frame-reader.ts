/** One block of an event stream, as WHATWG HTML §9.2.6 reads it. */
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

/**
 * Returns a function that takes text in any pieces and returns the frames that they complete. A block whose end never arrives
 * is no frame. The function throws a RangeError for a block longer than the limit, in characters.
 */
export function frameReader(limit = 16_777_216): (text: string) => Frame[] {
  let rest = ''
  let raw = ''
  let event = ''
  let data: string | undefined
  let id: string | undefined
  let retry: number | undefined
  return (text) => {
    const frames: Frame[] = []
    // Lines, and between them their ends. A CR at the very end may be the first half of a CRLF.
    const pieces = (rest + text).split(/(\r\n|\n|\r(?!$))/)
    rest = pieces.pop() ?? ''
    for (let at = 0; at < pieces.length; at += 2) {
      const line = pieces[at] ?? ''
      raw += line + pieces[at + 1]
      const [name, value = ''] = line.split(/: ?(.*)/s)
      if (line === '') {
        frames.push({ raw, event: event || 'message', data, id, retry })
        raw = event = ''
        data = id = retry = undefined
      } else if (name === 'data') data = data === undefined ? value : `${data}\n${value}`
      else if (name === 'event') event = value
      else if (name === 'id' && !value.includes('\0')) id = value
      else if (name === 'retry' && /^\d+$/.test(value)) retry = Number(value)
    }
    if (raw.length + rest.length > limit) throw new RangeError('too large')
    return frames
  }
}
