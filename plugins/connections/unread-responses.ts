import type { ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Refusal } from '../../services/hub/refusals.ts'
import { isHttp2, type RawResponse } from '../response-sink.ts'

/** Approximate memory of a response beside its bytes. */
const RESPONSE_BYTES = 1_024
/** One connection may hold a quarter of the total. */
const SHARE = 1 / 4

/** The queue on which responses leave in order: an HTTP/1 connection, or an HTTP/2 stream. */
type Outlet = Socket | ServerHttp2Stream

interface Backlog {
  readonly responses: Set<RawResponse>
  readonly cut: () => void
  bytes: number
}

export interface UnreadOptions {
  readonly maxBytes: number
  readonly stallTimeout: number
  readonly onCut: (reason: Refusal) => void
}

/**
 * The responses that were written and have not left yet, because their clients do not read. Bounded in bytes and in time. A
 * response that the kernel takes at once, as it mostly does, is never listed.
 */
export class UnreadResponses {
  readonly #options: UnreadOptions
  /** The outlet that has waited longest is the first. */
  readonly #backlogs = new Map<Outlet, Backlog>()
  readonly #watched = new WeakSet<Outlet>()
  /** Bytes of all listed responses, as of the last look at each. */
  #bytes = 0

  constructor(options: UnreadOptions) {
    this.#options = options
  }

  /** Lists a response that was written to its end. */
  add(response: RawResponse): void {
    if (response.writableLength === 0) return
    const outlet = outletOf(response)
    if (outlet === undefined) return
    const backlog = this.#backlogs.get(outlet) ?? this.#begin(outlet, response)
    if (backlog.responses.has(response)) return
    backlog.responses.add(response)
    this.#setBytes(backlog, backlog.bytes + response.writableLength + RESPONSE_BYTES)
    response.once('finish', () => this.#remove(outlet, response))
    const { maxBytes } = this.#options
    if (backlog.bytes > maxBytes * SHARE) this.#cut(outlet, backlog, 'unread')
    if (this.#bytes > maxBytes) this.#makeRoom()
  }

  /** Cuts the outlets that have waited longest, and more than needed, so that the next response need not check again. */
  #makeRoom(): void {
    for (const backlog of this.#backlogs.values()) this.#setBytes(backlog, unreadOf(backlog))
    for (const [outlet, backlog] of this.#backlogs) {
      if (this.#bytes <= this.#options.maxBytes * (1 - SHARE)) return
      this.#cut(outlet, backlog, 'unread')
    }
  }

  #begin(outlet: Outlet, response: RawResponse): Backlog {
    const { stallTimeout } = this.#options
    const backlog = { responses: new Set<RawResponse>(), cut: cutterOf(response), bytes: 0 }
    this.#backlogs.set(outlet, backlog)
    // Node's timeout notices partial writes; `writableLength` changes only with whole ones.
    if (stallTimeout > 0) outlet.setTimeout(stallTimeout)
    if (!this.#watched.has(outlet)) {
      this.#watched.add(outlet)
      outlet.once('close', () => this.#unlist(outlet))
      outlet.on('timeout', () => {
        const stalled = this.#backlogs.get(outlet)
        // Otherwise the connection is merely idle.
        if (stalled !== undefined) this.#cut(outlet, stalled, 'stalled')
      })
    }
    return backlog
  }

  #remove(outlet: Outlet, response: RawResponse): void {
    const backlog = this.#backlogs.get(outlet)
    if (backlog === undefined || !backlog.responses.delete(response)) return
    if (backlog.responses.size === 0) this.#unlist(outlet)
  }

  #cut(outlet: Outlet, backlog: Backlog, reason: Refusal): void {
    this.#unlist(outlet)
    backlog.cut()
    this.#options.onCut(reason)
  }

  #unlist(outlet: Outlet): void {
    const backlog = this.#backlogs.get(outlet)
    if (backlog === undefined) return
    this.#backlogs.delete(outlet)
    this.#bytes -= backlog.bytes
  }

  #setBytes(backlog: Backlog, bytes: number): void {
    this.#bytes += bytes - backlog.bytes
    backlog.bytes = bytes
  }
}

function unreadOf({ responses }: Backlog): number {
  let bytes = 0
  for (const { writableLength } of responses) bytes += writableLength + RESPONSE_BYTES
  return bytes
}

/** Undefined where the client has left already. */
function outletOf(response: RawResponse): Outlet | undefined {
  const outlet = isHttp2(response.req) ? (response as Http2ServerResponse).stream : response.req.socket
  return outlet === undefined || outlet === null || outlet.destroyed ? undefined : outlet
}

/** Only the stream of an HTTP/2 client: its session may have event streams that it does read. */
function cutterOf(response: RawResponse): () => void {
  if (!isHttp2(response.req)) {
    const { socket } = (response as ServerResponse).req
    return () => socket.destroy()
  }
  const { stream } = response as Http2ServerResponse
  return () => {
    stream.close(constants.NGHTTP2_CANCEL)
    stream.destroy()
  }
}
