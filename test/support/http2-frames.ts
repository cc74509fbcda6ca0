import { EventEmitter, once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { untilChange } from './waiting.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const HEAD_BYTES = 9

/** RFC 9113 §6. */
export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9
} as const
export const FLAG = { none: 0, endStream: 1, ack: 1, endHeaders: 4 } as const
export const SETTING = { initialWindowSize: 4 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export function settings(values: readonly (readonly [setting: number, value: number])[] = []): Buffer {
  const pairs = values.map(([setting, value]) => {
    const pair = Buffer.alloc(6)
    pair.writeUInt16BE(setting, 0)
    pair.writeUInt32BE(value, 2)
    return pair
  })
  return frame(FRAME.settings, FLAG.none, 0, Buffer.concat(pairs))
}

/** The headers of a request as HPACK writes them without a table (RFC 7541 §6.2.2). */
export function headerBlock(method: string, path: string, others: Record<string, string> = {}): Buffer {
  const literals = Object.entries(others).map(([name, value]) =>
    Buffer.concat([Buffer.from([0]), text(name), text(value)])
  )
  return Buffer.concat([
    ...[Buffer.from([0x02]), text(method), Buffer.from([0x87]), Buffer.from([0x04]), text(path)],
    ...[Buffer.from([0x01]), text('localhost'), ...literals]
  ])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  if (bytes.length > 126) throw new Error('longer than this client can say')
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** A client that sends only the frames that a test asks for: no acknowledgement, no window update. */
export class Http2Frames {
  readonly socket: TLSSocket
  readonly frames: Frame[] = []
  isClosed = false
  readonly #changes = new EventEmitter().setMaxListeners(0)
  readonly #tcp: Socket
  #rest: Buffer = Buffer.alloc(0)

  private constructor(socket: TLSSocket, tcp: Socket) {
    this.#tcp = tcp
    this.socket = socket
    const onClose = () => {
      this.isClosed = true
      this.#changes.emit('change')
    }
    socket.on('error', onClose).on('close', onClose).on('end', onClose)
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
  }

  /** Connects and sends the preface with these settings. */
  static async open(
    port: number,
    values: readonly (readonly [setting: number, value: number])[] = [],
    { isSilent = false }: { isSilent?: boolean } = {}
  ): Promise<Http2Frames> {
    const tcp = connectTcp({ port, host: '127.0.0.1', noDelay: true })
    tcp.on('error', () => {})
    const socket = connect({ socket: tcp, ALPNProtocols: ['h2'], rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const client = new Http2Frames(socket, tcp)
    if (!isSilent) client.send(PREFACE, settings(values))
    return client
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  /** Sends a request on a stream of an odd number; `flags` ends the request by default. */
  request(
    stream: number,
    method: string,
    path: string,
    {
      headers = {},
      flags = FLAG.endStream | FLAG.endHeaders
    }: { headers?: Record<string, string>; flags?: number } = {}
  ): void {
    this.send(frame(FRAME.headers, flags, stream, headerBlock(method, path, headers)))
  }

  /** Resets the connection, without the end of TLS or of TCP. */
  resetConnection(): void {
    // Not in one turn: Node crashes if a client's TLS socket is destroyed while the socket below it is being closed.
    this.#tcp.once('close', () => setImmediate(() => this.socket.destroy()))
    this.#tcp.resetAndDestroy()
  }

  find(type: number, stream?: number): Frame | undefined {
    return this.frames.find((found) => found.type === type && (stream === undefined || found.stream === stream))
  }

  /** Resolves with the first frame of a type, on a stream if one is named. */
  async frame(type: number, stream?: number): Promise<Frame> {
    await this.until(() => this.find(type, stream) !== undefined, `a frame of type ${type}`)
    return this.find(type, stream) as Frame
  }

  async closed(): Promise<void> {
    await this.until(() => this.isClosed, 'the connection to be closed')
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    const types = () => this.frames.map(({ type, stream }) => `${type}@${stream}`)
    await untilChange(this.#changes, isTrue, what, () => `${types().slice(-50)}`)
  }

  #receive(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) break
      const payload = this.#rest.subarray(HEAD_BYTES, end)
      this.frames.push({
        type: this.#rest[3] as number,
        flags: this.#rest[4] as number,
        stream: this.#rest.readUInt32BE(5) & 0x7fff_ffff,
        payload
      })
      this.#rest = this.#rest.subarray(end)
    }
    this.#changes.emit('change')
  }
}
