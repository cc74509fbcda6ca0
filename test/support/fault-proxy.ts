import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A line to a server that can be cut, can be slow, and may hand bytes on one by one. */
export class FaultProxy {
  /** How long each piece is on its way, in milliseconds. */
  delay = 0
  /** Pieces are handed on in so many bytes each; 0 leaves them as they are. */
  split = 0
  /** Where it leads to; changing it is for new connections. */
  target: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #clients = new Set<Socket>()
  #isCut = false

  private constructor(target: number) {
    this.target = target
    this.#server = createServer((socket) => this.#lead(socket))
  }

  static async start(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target)
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

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Ends every connection; new ones are refused until it is mended. */
  cut(): void {
    this.#isCut = true
    this.reset()
  }

  mend(): void {
    this.#isCut = false
  }

  /** Ends connections without a word, all or the oldest so many; new ones are let through. */
  reset(count = Number.POSITIVE_INFINITY): void {
    for (const socket of [...this.#clients].slice(0, count)) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #lead(client: Socket): void {
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
      if (this.delay === 0) this.#hand(bytes, to)
      else setTimeout(() => this.#hand(bytes, to), this.delay)
    })
  }

  #hand(bytes: Buffer, to: Socket): void {
    if (to.destroyed) return
    if (this.split === 0) return void to.write(bytes)
    for (let at = 0; at < bytes.length; at += this.split) to.write(bytes.subarray(at, at + this.split))
  }
}
