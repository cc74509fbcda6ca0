import { connect } from 'node:net'

/**
 * An event source that checks its events: those of one kind have consecutive numbers, so it detects holes and duplicates.
 * Events that `hub.gap` reports as missing are not a hole.
 */
export class CheckingSource {
  holes = 0
  repeats = 0
  gaps = 0
  events = 0
  #where
  #socket
  #text = ''
  #lastEventId
  #next = new Map()
  #leaving = false

  /** @param where `{ port, path, localAddress }` */
  constructor(where) {
    this.#where = where
  }

  /** Opens the stream, and reconnects when the server cuts it. Resolves at the first byte. */
  open() {
    return new Promise((resolve) => {
      const { port, path, localAddress } = this.#where
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      this.#socket = socket
      this.#text = ''
      const resumption = this.#lastEventId === undefined ? '' : `last-event-id: ${this.#lastEventId}\r\n`
      socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n${resumption}\r\n`)
      socket.setEncoding('latin1')
      socket.on('data', (text) => {
        resolve()
        this.#take(text)
      })
      socket.on('error', () => {})
      socket.on('close', () => {
        resolve()
        const reopen = () => {
          // After a cut meanwhile, `cut` reopens the stream.
          if (socket === this.#socket && !this.#leaving) this.open()
        }
        if (socket === this.#socket && !this.#leaving) setTimeout(reopen, 1_000)
      })
    })
  }

  /** Cuts the stream for `milliseconds`. Then it resumes or, `afresh`, begins at the head, as a new device does. */
  cut(milliseconds, afresh) {
    const cut = this.#socket
    this.#socket = undefined
    cut?.destroy()
    if (afresh) {
      this.#lastEventId = undefined
      this.#next.clear()
    }
    setTimeout(() => {
      if (this.#socket === undefined && !this.#leaving) this.open()
    }, milliseconds)
  }

  /** Stops reading for a while. */
  stall(milliseconds) {
    const stalled = this.#socket
    stalled?.pause()
    setTimeout(() => stalled?.resume(), milliseconds)
  }

  leave() {
    this.#leaving = true
    this.#socket?.destroy()
  }

  #take(text) {
    this.#text += text
    const blocks = this.#text.split('\n\n')
    this.#text = blocks.pop()
    for (const block of blocks) this.#dispatch(block)
  }

  #dispatch(block) {
    const id = /^id: (.*)$/m.exec(block)?.[1]
    if (id !== undefined) this.#lastEventId = id
    const name = /^event: (.*)$/m.exec(block)?.[1]
    if (name === 'hub.gap') {
      this.gaps++
      this.#next.clear()
    } else if (name === undefined) this.#check(block)
  }

  #check(block) {
    const numbered = /^data: (\S+) (\d+)/m.exec(block)
    if (numbered === null) return
    this.events++
    const [, kind, text] = numbered
    const number = Number(text)
    const expected = this.#next.get(kind) ?? number
    if (number > expected) this.holes += number - expected
    if (number < expected) this.repeats++
    else this.#next.set(kind, number + 1)
  }
}
