import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { reset } from './reset.ts'

/**
 * A TCP proxy on 127.0.0.1 before a server of this machine, that fails when the test wants it to: it cuts connections, refuses
 * new ones, delays what it forwards, and splits it into pieces.
 */
export class FaultProxy {
  /** Delay of each piece, in milliseconds. */
  delay = 0
  /** Number of bytes in each forwarded piece; 0 leaves pieces as they are. */
  split = 0
  /** The port of the server; a change applies to new connections. */
  target: number
  readonly #protocol: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #clients = new Set<Socket>()
  #isCut = false

  private constructor(target: number, protocol: string) {
    this.target = target
    this.#protocol = protocol
    this.#server = createServer((socket) => this.#connect(socket))
  }

  /**
   * Listens on a free port.
   * @param target the port of the server.
   * @param protocol that of its URL, `http` unless it is given.
   */
  static async start(target: number, protocol = 'http'): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, protocol)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get isOpen(): boolean {
    return this.#server.listening
  }

  /** Where clients connect to: `http://127.0.0.1:49152`. */
  get url(): string {
    return `${this.#protocol}://127.0.0.1:${this.port}`
  }

  /** Ends every connection; new ones are refused until `restore`. */
  cut(): void {
    this.#isCut = true
    this.reset()
  }

  /** Accepts connections again. */
  restore(): void {
    this.#isCut = false
  }

  /** Resets all connections, or the `count` oldest; new ones are accepted. */
  reset(count = Number.POSITIVE_INFINITY): void {
    for (const socket of [...this.#clients].slice(0, count)) reset(socket)
  }

  /** Ends all connections and the proxy. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #connect(client: Socket): void {
    if (this.#isCut) {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const server = connect(this.target, '127.0.0.1')
    this.#clients.add(client)
    client.on('close', () => this.#clients.delete(client))
    this.#join(client, server)
    this.#join(server, client)
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.setNoDelay(true)
    from.on('error', () => {})
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
    from.on('data', (bytes) => {
      if (this.delay === 0) this.#forward(bytes, to)
      else setTimeout(() => this.#forward(bytes, to), this.delay)
    })
  }

  #forward(bytes: Buffer, to: Socket): void {
    if (to.destroyed) return
    if (this.split === 0) return void to.write(bytes)
    for (let at = 0; at < bytes.length; at += this.split) to.write(bytes.subarray(at, at + this.split))
  }
}
