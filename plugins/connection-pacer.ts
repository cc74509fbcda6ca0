import { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../services/clock.ts'

/** How long requests are let in for in one turn of the event loop, in milliseconds. */
const SLICE = 2
/** Connections are counted over so long, in milliseconds. */
const WINDOW = 100
/** While fewer than so many come in a window none of them waits: what they cost is not worth the care. */
const AT_EASE = 50
/** A connection that brings no request in this time is the server's to time out, in milliseconds. */
const SILENCE = 1_000
/** A request waits at most so long for a busy hub, in milliseconds; then it is admitted at the pace of the event loop alone. */
const MAX_WAIT = 3_000

type Admit = (socket: Socket) => void

interface Waiting {
  readonly socket: Socket
  readonly since: number
}

/**
 * Lets new connections in at the pace at which they can be served, so that thousands of clients who return at once do not
 * hold up the streams that are open. Without it Node reads and answers every request that has arrived before the event loop
 * turns: 5,000 of them hold everything else up for a third of a second.
 *
 * While many come, one that has brought its request is handed to the server's own listeners when its turn has come; Node
 * provides for that (`http.Server`, event 'connection', may be emitted to inject a connection). Nobody is refused, nobody who
 * has brought a request is overtaken, and no wait for a busy hub exceeds three seconds.
 */
export class ConnectionPacer {
  readonly #server: HttpServer
  readonly #admits: Admit[]
  readonly #isBusy: () => boolean
  readonly #clock: Clock
  /** Those that have brought nothing yet. */
  readonly #silent = new Set<Socket>()
  #sweep: NodeJS.Timeout | undefined
  /** Those that have, in the order in which they did. */
  #waiting: Waiting[] = []
  #next = 0
  #isScheduled = false
  #isOpen = false
  #sliceEnd = 0
  #windowEnd = 0
  #inWindow = 0

  /** Takes over what a server does with new connections. One that speaks TLS is left alone: what costs there is its handshakes. */
  static pace(server: object, isBusy: () => boolean, clock: Clock): ConnectionPacer | undefined {
    return server instanceof HttpServer ? new ConnectionPacer(server, isBusy, clock) : undefined
  }

  private constructor(server: HttpServer, isBusy: () => boolean, clock: Clock) {
    this.#server = server
    this.#isBusy = isBusy
    this.#clock = clock
    this.#admits = server.listeners('connection') as Admit[]
    server.removeAllListeners('connection')
    server.on('connection', this.#arrived)
  }

  /** How many have brought their request and wait. */
  get waiting(): number {
    return this.#waiting.length - this.#next
  }

  /** From now on nobody waits: a server that is being closed could not tell those who do that it is. */
  open(): void {
    this.#isOpen = true
    clearTimeout(this.#sweep)
    this.#queueSilent()
    while (this.waiting > 0) this.#admitNext()
  }

  readonly #arrived = (socket: Socket): void => {
    if (this.#isOpen || (this.#isAtEase() && this.waiting === 0)) {
      this.#admit(socket)
      return
    }
    this.#silent.add(socket)
    // Without a listener the reset of a client that gave up would end the process.
    socket.on('error', ignore)
    socket.once('readable', this.#spoke.bind(this, socket))
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined
      this.#queueSilent()
    }, SILENCE).unref()
  }

  #isAtEase(): boolean {
    const now = this.#clock.monotonic()
    if (now >= this.#windowEnd) {
      this.#windowEnd = now + WINDOW
      this.#inWindow = 0
    }
    return ++this.#inWindow <= AT_EASE
  }

  #spoke(socket: Socket): void {
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

  /** One at a time, each after the request of the one before has been read and answered, so that the clock sees what it cost. */
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
    // Who left without a word is nobody to serve, and nobody else would close his connection.
    if (socket.readableEnded) socket.destroy()
    else if (!socket.destroyed) this.#admit(socket)
  }

  #admit(socket: Socket): void {
    for (const admit of this.#admits) admit.call(this.#server, socket)
  }
}

function ignore(): void {}
