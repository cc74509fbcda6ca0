import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { StrictParser } from './strict-parser.ts'
import { untilChange } from './waiting.ts'

/** A plain TCP connection, for tests that send what no HTTP client would. */
export class RawSocket {
  readonly socket: Socket
  /** The received text. */
  text = ''
  isClosed = false
  readonly #changes = new EventEmitter()

  private constructor(socket: Socket) {
    this.#changes.setMaxListeners(0)
    this.socket = socket
    const onClose = () => {
      this.isClosed = true
      this.#changes.emit('change')
    }
    socket.on('error', onClose).on('close', onClose)
    socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString()
      this.#changes.emit('change')
    })
  }

  static async open(port: number): Promise<RawSocket> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new RawSocket(socket)
  }

  /** Opens a stream, and resolves when its head has arrived. */
  static async stream(port: number, path: string, headers = ''): Promise<RawSocket> {
    const raw = await RawSocket.open(port)
    raw.send(`GET ${path} HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n${headers}\r\n`)
    await raw.until(() => raw.text.includes('\r\n\r\n'), 'the head of a response')
    return raw
  }

  get head(): string {
    return this.text.slice(0, this.text.indexOf('\r\n\r\n'))
  }

  /** The text after the head, without the framing of chunks. */
  get body(): string {
    const bytes = Buffer.from(this.text.slice(this.text.indexOf('\r\n\r\n') + 4))
    return String(/^transfer-encoding: chunked$/im.test(this.head) ? unframed(bytes) : bytes)
  }

  /** The body, read as an event stream. */
  get parser(): StrictParser {
    const parser = new StrictParser()
    parser.feed(Buffer.from(this.body))
    return parser
  }

  send(text: string): void {
    this.socket.write(text)
  }

  async closed(): Promise<void> {
    await this.until(() => this.isClosed, 'the connection to be closed')
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    await untilChange(this.#changes, isTrue, what, () => this.text.slice(-2_000))
  }
}

/** The data of the complete chunks (RFC 9112 §7.1), read literally. */
function unframed(bytes: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at)
    if (line === -1) break
    const size = bytes.toString('latin1', at, line)
    if (!/^[0-9a-f]+$/.test(size)) throw new Error(`no chunk begins with ${JSON.stringify(size)}`)
    const begin = line + 2
    const end = begin + Number.parseInt(size, 16)
    if (bytes.length < end + 2) break
    if (bytes.toString('latin1', end, end + 2) !== '\r\n') throw new Error('a chunk is longer than it says')
    pieces.push(bytes.subarray(begin, end))
    at = end + 2
  }
  return Buffer.concat(pieces)
}
