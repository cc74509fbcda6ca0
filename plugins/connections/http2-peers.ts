import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Refusal } from '../../services/hub/refusals.ts'

/** How often a client is asked whether it is there, and how long its answer may take, in milliseconds. */
const PING_INTERVAL = 10_000
const PING_TIMEOUT = 15_000
/** How many streams a client may cancel a second, besides all that it may have at a time. */
const CANCELS_A_SECOND = 50
/** Streams that were cancelled and are not seen to be closed yet, as a part of those that a session may have. */
const UNSEEN = 1 / 2
/** How long a session that has ended may keep its connection, in milliseconds. */
const GRACE = 2_000

export interface Http2PeerOptions {
  readonly headersTimeout: number
  readonly requestTimeout: number
  readonly sessionTimeout: number
  readonly maxStreamsPerSession: number
  readonly now: () => number
  readonly onCut: (reason: Refusal) => void
}

interface Peer {
  readonly session: ServerHttp2Session
  readonly socket: Socket
  /** Requests whose bodies are not finished, and since when. */
  readonly bodies: Map<ServerHttp2Stream, number>
  streams: number
  isUsed: boolean
  idleSince: number
  receivedAt: number
  askedAt: number | undefined
  endedAt: number | undefined
  /** Streams that it has cancelled, less those that time has forgiven. */
  cancelled: number
  cancelledAt: number
}

/**
 * The clients that speak HTTP/2. Node leaves their timeouts to its user, and after some protocol errors neither reads nor
 * notices that the client has closed: such a session keeps its descriptor and its streams for ever. So each session is
 * bounded in time, and a client that does not acknowledge a ping is cut.
 */
export class Http2Peers {
  readonly #options: Http2PeerOptions
  readonly #peers = new Set<Peer>()

  constructor(options: Http2PeerOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#peers.size
  }

  /** @param socket what the session was made on: a session does not let its socket be destroyed. */
  add(session: ServerHttp2Session, socket: Socket): void {
    const now = this.#options.now()
    const peer: Peer = {
      ...{ session, socket, bodies: new Map(), streams: 0, isUsed: false },
      ...{ idleSince: now, receivedAt: now, askedAt: undefined, endedAt: undefined },
      ...{ cancelled: 0, cancelledAt: now }
    }
    this.#peers.add(peer)
    socket.once('close', () => this.#peers.delete(peer))
    session.on('stream', (stream) => this.#begin(peer, stream))
  }

  /** Cuts what has taken too long. */
  sweep(): void {
    for (const peer of this.#peers) {
      if (this.#hasEnded(peer)) continue
      this.#closeIdle(peer)
      this.#closeUnfinished(peer)
      this.#ask(peer)
    }
  }

  #begin(peer: Peer, stream: ServerHttp2Stream): void {
    peer.streams++
    peer.isUsed = true
    if (!stream.endAfterHeaders) peer.bodies.set(stream, this.#options.now())
    stream.once('close', () => {
      peer.bodies.delete(stream)
      if (--peer.streams === 0) peer.idleSince = this.#options.now()
      // Also where the answer was written by then: it cost as much.
      if (stream.aborted || stream.rstCode === constants.NGHTTP2_CANCEL) this.#cancelled(peer)
    })
    // Streams that are cancelled as soon as they are asked for are counted before they are seen to be closed.
    if (peer.streams > (1 + UNSEEN) * this.#options.maxStreamsPerSession) this.#cut(peer, 'cancelled')
  }

  /** Each costs a whole request, and makes room for the next at once: the limit of streams at a time does not bound them. */
  #cancelled(peer: Peer): void {
    const { now, maxStreamsPerSession } = this.#options
    const forgiven = ((now() - peer.cancelledAt) / 1_000) * CANCELS_A_SECOND
    peer.cancelledAt = now()
    peer.cancelled = Math.max(0, peer.cancelled - forgiven) + 1
    if (peer.cancelled > maxStreamsPerSession) this.#cut(peer, 'cancelled')
  }

  #cut({ session, socket }: Peer, reason: Refusal): void {
    if (socket.destroyed) return
    session.destroy()
    socket.destroy()
    this.#options.onCut(reason)
  }

  #hasEnded(peer: Peer): boolean {
    const { session, socket, streams } = peer
    if (!session.destroyed && !(session.closed && streams === 0)) return false
    const now = this.#options.now()
    peer.endedAt ??= now
    if (now - peer.endedAt >= GRACE) socket.destroy()
    return true
  }

  /** A session that never had a request, or has half of one, is no better than an HTTP/1 connection that brings no headers. */
  #closeIdle({ session, streams, isUsed, idleSince }: Peer): void {
    const { headersTimeout, sessionTimeout, now } = this.#options
    if (streams === 0 && now() - idleSince >= (isUsed ? sessionTimeout : headersTimeout)) session.close()
  }

  #closeUnfinished({ bodies }: Peer): void {
    const { requestTimeout, now, onCut } = this.#options
    for (const [stream, since] of bodies) {
      if (stream.readableEnded) bodies.delete(stream)
      // An event stream is answered whether its request ends or not.
      else if (now() - since >= requestTimeout && !(stream.headersSent && !stream.writableEnded)) {
        bodies.delete(stream)
        stream.close(constants.NGHTTP2_CANCEL)
        onCut('unfinished')
      }
    }
  }

  #ask(peer: Peer): void {
    const { now } = this.#options
    if (peer.askedAt !== undefined) {
      if (now() - peer.askedAt < PING_TIMEOUT) return
      this.#cut(peer, 'unresponsive')
      return
    }
    if (peer.session.destroyed || now() - peer.receivedAt < PING_INTERVAL) return
    peer.askedAt = now()
    peer.session.ping((error) => {
      // What goes wrong here ends the session, or is the timeout's.
      if (error !== null) return
      peer.askedAt = undefined
      peer.receivedAt = now()
    })
  }
}
