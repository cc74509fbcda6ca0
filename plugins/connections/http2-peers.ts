import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Refusal } from '../../services/hub/refusals.ts'

/** Interval of pings, and how long the acknowledgement may take, in milliseconds. */
const PING_INTERVAL = 10_000
const PING_TIMEOUT = 15_000
/** How many streams a client may cancel per second, beyond `maxStreamsPerSession`. */
const CANCELS_A_SECOND = 50
/** Streams that are cancelled but whose close has not been reported yet, as a share of `maxStreamsPerSession`. */
const UNREPORTED = 1 / 2
/** How long an ended session may keep its connection, in milliseconds. */
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
  /** Requests with unfinished bodies, and the time of their start. */
  readonly bodies: Map<ServerHttp2Stream, number>
  streams: number
  isUsed: boolean
  idleSince: number
  receivedAt: number
  pingedAt: number | undefined
  endedAt: number | undefined
  /** Cancelled streams, less `CANCELS_A_SECOND` for each second that has passed. */
  cancelled: number
  cancelledAt: number
}

/**
 * The HTTP/2 clients. Node sets no timeouts for them. After some protocol errors it neither reads nor notices that the client
 * has closed: such a session keeps its descriptor and its streams for ever. So each session has timeouts, and a client that
 * does not acknowledge a ping is cut.
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

  /** @param socket the session's socket: the session itself does not allow to destroy it. */
  add(session: ServerHttp2Session, socket: Socket): void {
    const now = this.#options.now()
    const peer: Peer = {
      ...{ session, socket, bodies: new Map(), streams: 0, isUsed: false },
      ...{ idleSince: now, receivedAt: now, pingedAt: undefined, endedAt: undefined },
      ...{ cancelled: 0, cancelledAt: now }
    }
    this.#peers.add(peer)
    socket.once('close', () => this.#peers.delete(peer))
    session.on('stream', (stream) => this.#begin(peer, stream))
  }

  /** Cuts sessions and requests that have exceeded their timeouts, and pings silent clients. */
  sweep(): void {
    for (const peer of this.#peers) {
      if (this.#hasEnded(peer)) continue
      this.#closeIdle(peer)
      this.#closeUnfinished(peer)
      this.#ping(peer)
    }
  }

  #begin(peer: Peer, stream: ServerHttp2Stream): void {
    peer.streams++
    peer.isUsed = true
    if (!stream.endAfterHeaders) peer.bodies.set(stream, this.#options.now())
    stream.once('close', () => {
      peer.bodies.delete(stream)
      if (--peer.streams === 0) peer.idleSince = this.#options.now()
      // Also if the response was written already: the request cost as much.
      if (stream.aborted || stream.rstCode === constants.NGHTTP2_CANCEL) this.#cancelled(peer)
    })
    // Streams that are cancelled at once are counted before Node reports their close.
    if (peer.streams > (1 + UNREPORTED) * this.#options.maxStreamsPerSession) this.#cut(peer, 'cancelled')
  }

  /**
   * A cancelled stream costs a whole request, and makes room for the next at once: the limit of concurrent streams does not
   * bound these.
   */
  #cancelled(peer: Peer): void {
    const { now, maxStreamsPerSession } = this.#options
    const expired = ((now() - peer.cancelledAt) / 1_000) * CANCELS_A_SECOND
    peer.cancelledAt = now()
    peer.cancelled = Math.max(0, peer.cancelled - expired) + 1
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

  /** A session without a complete request gets the timeout of an HTTP/1 connection without headers. */
  #closeIdle({ session, streams, isUsed, idleSince }: Peer): void {
    const { headersTimeout, sessionTimeout, now } = this.#options
    if (streams === 0 && now() - idleSince >= (isUsed ? sessionTimeout : headersTimeout)) session.close()
  }

  #closeUnfinished({ bodies }: Peer): void {
    const { requestTimeout, now, onCut } = this.#options
    for (const [stream, since] of bodies) {
      if (stream.readableEnded) bodies.delete(stream)
      // An open event stream is exempt: it is served even if its request never ends.
      else if (now() - since >= requestTimeout && !(stream.headersSent && !stream.writableEnded)) {
        bodies.delete(stream)
        stream.close(constants.NGHTTP2_CANCEL)
        onCut('unfinished')
      }
    }
  }

  #ping(peer: Peer): void {
    const { now } = this.#options
    if (peer.pingedAt !== undefined) {
      if (now() - peer.pingedAt < PING_TIMEOUT) return
      this.#cut(peer, 'unresponsive')
      return
    }
    if (peer.session.destroyed || now() - peer.receivedAt < PING_INTERVAL) return
    peer.pingedAt = now()
    peer.session.ping((error) => {
      // A failed ping ends the session, or its timeout does.
      if (error !== null) return
      peer.pingedAt = undefined
      peer.receivedAt = now()
    })
  }
}
