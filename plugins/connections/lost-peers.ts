import type { Clock } from '../../services/clock.ts'
import type { TcpConnection } from '../../services/streams/sink.ts'
import { type Retransmission, retransmissions } from './retransmissions.ts'

/** The shortest time between two looks, in milliseconds. */
const MIN_INTERVAL = 1_000
/** How many looks there are while a peer is silent for the timeout. */
const LOOKS = 2
/** A look at the list of a busy server is expensive: the next one is at least so many times its duration later. */
const REST = 100

export interface LostPeersOptions {
  readonly clock: Clock
  /** How long a peer may acknowledge nothing of what was sent, in milliseconds. 0: for ever. */
  readonly timeout: number
  /** The open streams. */
  readonly streams: () => Iterable<{ readonly connection: TcpConnection | undefined }>
  /** @default the kernel's list */
  readonly read?: () => AsyncIterable<Retransmission>
}

interface Silence {
  readonly since: number
  readonly count: number
}

/**
 * Cuts connections whose peers have vanished without a word, such as by a pulled cable. A heartbeat that such a peer does not
 * acknowledge stays in the kernel, which sends it again and again; Node does not notice before the kernel gives up.
 */
export class LostPeers {
  /** How many connections were cut. */
  cut = 0
  readonly #options: LostPeersOptions
  #stopLooking: (() => void) | undefined
  /** Peers that have acknowledged nothing since an earlier look. */
  #silent = new Map<string, Silence>()
  #isReading = false
  /** When the next look may begin, in monotonic time. */
  #notBefore = 0
  #isStopped = false

  constructor(options: LostPeersOptions) {
    this.#options = options
  }

  /** A stream was opened. */
  watch(): void {
    const { clock, timeout } = this.#options
    if (this.#stopLooking !== undefined || this.#isStopped || timeout === 0) return
    this.#stopLooking = clock.every(Math.max(timeout / LOOKS, MIN_INTERVAL), () => void this.#look())
  }

  stop(): void {
    this.#isStopped = true
    this.pause()
  }

  /** The last stream was closed: looks no more until another one is opened. */
  pause(): void {
    this.#stopLooking?.()
    this.#stopLooking = undefined
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { clock, timeout, streams, read = retransmissions } = this.#options
    // The request may have opened no stream.
    if (streams()[Symbol.iterator]().next().done) return this.pause()
    if (this.#isReading || clock.monotonic() < this.#notBefore) return
    const begin = clock.monotonic()
    this.#isReading = true
    const silent = new Map<string, Silence>()
    const lost = new Set<string>()
    try {
      for await (const peer of read()) {
        const key = keyOf(peer)
        const before = this.#silent.get(key)
        // A lower count began after an acknowledgement.
        const since = before !== undefined && before.count <= peer.count ? before.since : clock.monotonic()
        silent.set(key, { since, count: peer.count })
        if (clock.monotonic() - since >= timeout) lost.add(key)
      }
    } catch {
      // Not Linux, or the list is hidden from this process: the kernel's own time-out remains.
      this.stop()
    }
    this.#isReading = false
    this.#notBefore = clock.monotonic() + REST * (clock.monotonic() - begin)
    this.#silent = silent
    if (lost.size > 0 && !this.#isStopped) this.#cut(lost)
  }

  #cut(lost: ReadonlySet<string>): void {
    for (const connection of connectionsIn(lost, this.#options.streams())) {
      this.cut++
      connection.destroy()
    }
  }
}

/** Collected first: a connection that is cut closes its streams, of which there may be several. */
function connectionsIn(keys: ReadonlySet<string>, streams: ReturnType<LostPeersOptions['streams']>): TcpConnection[] {
  const found = new Map<string, TcpConnection>()
  for (const { connection } of streams) {
    const key = connection && keyOf(connection)
    if (key !== undefined && keys.has(key)) found.set(key, connection as TcpConnection)
  }
  return [...found.values()]
}

type Ends = Pick<TcpConnection, 'localPort' | 'remoteAddress' | 'remotePort'>

function keyOf({ localPort, remoteAddress = '', remotePort }: Ends): string {
  // A link-local address has its interface behind a percent sign.
  return `${localPort} ${remoteAddress.replace(/%.*$/s, '')} ${remotePort}`
}
