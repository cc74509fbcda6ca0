import { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../services/clock.ts'

/** How long connections are admitted in one turn of the event loop, in milliseconds. */
const SLICE = 2
/** The window over which arriving connections are counted, in milliseconds. */
const WINDOW = 100
/** Up to so many connections in a window are admitted at once: their cost is negligible. */
const UNPACED_CONNECTIONS = 50
/** A connection without a request is passed to the server's own timeouts after so long, in milliseconds. */
const SILENCE = 1_000
/** A request waits at most so long for a busy hub, in milliseconds; then only the event loop paces it. */
const MAX_WAIT = 3_000

type Admit = (socket: Socket) => void

interface Waiting {
  readonly socket: Socket
  readonly since: number
}

/**
 * Admits new connections at the pace at which they can be served, so that thousands of clients that reconnect at once do not
 * delay open streams. Without it Node reads and answers every request that has arrived before the event loop turns: 5,000 of
 * them delay everything else by a third of a second.
 *
 * While many connections arrive, each waits for its request and then for its turn, and is passed to the server's own
 * listeners. Node allows that (`http.Server`, event 'connection', may be emitted to inject a connection). No connection is
 * refused, requests keep their order, and no wait for a busy hub exceeds three seconds.
 */
export class ConnectionPacer {
  readonly #server: HttpServer
  readonly #admits: Admit[]
  readonly #isBusy: () => boolean
  readonly #clock: Clock
  /** Connections without a request yet. */
  readonly #silent = new Set<Socket>()
  #sweep: NodeJS.Timeout | undefined
  /** Connections with a request, in the order in which those arrived. */
  #waiting: Waiting[] = []
  #next = 0
  #isScheduled = false
  #isOpen = false
  #sliceEnd = 0
  #windowEnd = 0
  #inWindow = 0

  /** Takes over the `connection` listeners of a server. A TLS server is left unchanged: there handshakes are the cost. */
  static pace(server: object, isBusy: () => boolean, clock: Clock): ConnectionPacer | undefined {
    return server instanceof HttpServer ? new ConnectionPacer(server, isBusy, clock) : undefined
  }

  private constructor(server: HttpServer, isBusy: () => boolean, clock: Clock) {
    this.#server = server
    this.#isBusy = isBusy
    this.#clock = clock
    this.#admits = server.listeners('connection') as Admit[]
    server.removeAllListeners('connection')
    server.on('connection', this.#onConnection)
  }

  /** How many connections with a request wait. */
  get waiting(): number {
    return this.#waiting.length - this.#next
  }

  /** Admits all waiting connections, and from now on each at once: a closing server must answer them before it ends. */
  open(): void {
    this.#isOpen = true
    clearTimeout(this.#sweep)
    this.#queueSilent()
    while (this.waiting > 0) this.#admitNext()
  }

  readonly #onConnection = (socket: Socket): void => {
    if (this.#isOpen || (this.#isUnpaced() && this.waiting === 0)) {
      this.#admit(socket)
      return
    }
    this.#silent.add(socket)
    // Without a listener the reset of a connection would end the process.
    socket.on('error', ignore)
    socket.once('readable', this.#onReadable.bind(this, socket))
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined
      this.#queueSilent()
    }, SILENCE).unref()
  }

  #isUnpaced(): boolean {
    const now = this.#clock.monotonic()
    if (now >= this.#windowEnd) {
      this.#windowEnd = now + WINDOW
      this.#inWindow = 0
    }
    return ++this.#inWindow <= UNPACED_CONNECTIONS
  }

  #onReadable(socket: Socket): void {
    if (this.#silent.delete(socket)) this.#queue(socket)
  }

  #queueSilent(): void {
    for (const socket of this.#silent) {
      socket.removeAllListeners('readable')
      this.#queue(socket)
    }
    this.#silent.clear()
  }

  #queue(socket: Socket): void {
    this.#waiting.push({ socket, since: this.#clock.monotonic() })
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#sliceEnd = this.#clock.monotonic() + SLICE
      this.#work()
    })
  }

  /** Admits one at a time, after the request of the one before has been answered, so that the clock measures its cost. */
  readonly #work = (): void => {
    if (this.waiting === 0) return
    const now = this.#clock.monotonic()
    if (now >= this.#sliceEnd || (this.#isBusy() && now < this.#oldest.since + MAX_WAIT)) {
      this.#schedule()
      return
    }
    this.#admitNext()
    process.nextTick(this.#work)
  }

  get #oldest(): Waiting {
    return this.#waiting[this.#next] as Waiting
  }

  #admitNext(): void {
    const { socket } = this.#oldest
    this.#next++
    if (this.#next === this.#waiting.length) {
      this.#waiting = []
      this.#next = 0
    }
    socket.off('error', ignore)
    // The client has left without a request, and nothing else would close the connection.
    if (socket.readableEnded) socket.destroy()
    else if (!socket.destroyed) this.#admit(socket)
  }

  #admit(socket: Socket): void {
    for (const admit of this.#admits) admit.call(this.#server, socket)
  }
}

function ignore(): void {}
